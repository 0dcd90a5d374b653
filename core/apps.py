from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Operations"

    def ready(self) -> None:
        from core import (
            cache_recovery,  # noqa: F401 - a duty of the relay
            outside,  # noqa: F401 - a health probe
            schedules,  # noqa: F401 - a duty of the relay
            tasks,  # noqa: F401 - declares the Celery task
        )
        from core.jobs import events  # noqa: F401 - declares the events
        from core.relay import idempotency, jobs  # noqa: F401 - duties of the relay
