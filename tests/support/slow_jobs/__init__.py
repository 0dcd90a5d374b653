"""An app with jobs for real workers to run: installed by `tests.support.slow_settings` only."""
