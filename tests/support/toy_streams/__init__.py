"""An app with streams for a real process to serve: installed by `tests.support.stream_settings` only."""

EVERY_SECONDS = 20.0  # how often a stream says something that nobody wakes
