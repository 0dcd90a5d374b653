from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
    verbose_name = "Operations"

    def ready(self) -> None:
        from core import (
            cache_recovery,  # noqa: F401 - a duty of the relay
            outside,  # noqa: F401 - a health probe
            permissions,  # noqa: F401 - declared by being imported
            schedules,  # noqa: F401 - a duty of the relay
            tasks,  # noqa: F401 - declares the Celery task
        )
        from core.exports import admin as export_admin  # noqa: F401 - declared by being imported
        from core.exports import jobs as export_jobs  # noqa: F401 - declared by being imported
        from core.jobs import admin, commands, events  # noqa: F401 - declared by being imported
        from core.relay import jobs, leader, retention  # noqa: F401 - duties of the relay, and its health
        from core.streams import alive  # noqa: F401 - a health probe
        from core.telemetry import gauges, queries
        from core.workers import marks  # noqa: F401 - a health probe and a duty of the relay

        queries.install()
        gauges.register()
