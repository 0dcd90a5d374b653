from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Operations"

    def ready(self) -> None:
        from core import tasks  # noqa: F401 - declares the Celery task
        from core.jobs import events  # noqa: F401 - declares the events
