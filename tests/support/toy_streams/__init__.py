"""An app with streams for a real process to serve: installed by `tests.support.stream_settings` only."""
