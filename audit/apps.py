from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import permissions  # noqa: F401 - declared by being imported
        from audit.services import events, following, partitions, sealing  # noqa: F401 - duties of the relay
        from core.events import use_recorder

        use_recorder(events.record)
