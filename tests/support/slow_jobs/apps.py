import os

from django.apps import AppConfig


class SlowJobsConfig(AppConfig):
    name = "tests.support.slow_jobs"
    label = "slow_jobs"

    def ready(self) -> None:
        from core.relay import loop
        from tests.support.slow_jobs import handlers, standing  # noqa: F401 - declares the jobs, and takes signals

        loop.POLL_SECONDS = float(os.environ.get("TESTS_POLL_SECONDS", loop.POLL_SECONDS))
