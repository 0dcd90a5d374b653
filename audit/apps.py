from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        from audit import (
            permissions,  # noqa: F401 - declared by being imported
            telemetry,
        )
        from audit.selectors.sealing import lag
        from audit.services import events, following, partitions, sealing  # noqa: F401 - duties of the relay
        from core.events import use_recorder
        from core.telemetry.metrics import business_gauge

        use_recorder(events.record, events.record_many)
        business_gauge("audit_sealing_lag_events", "Events that wait for their seal.", lambda: lag().events)
        business_gauge("audit_sealing_lag_seconds", "How long the first of them has waited.", lambda: lag().seconds)
        telemetry.register()
