from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        from billing import documents, events, permissions, tasks  # noqa: F401  (declares them)
        from core.schedules import schedule

        schedule("billing.renew_due", kind="billing.renew_due", cron="* * * * *")
        schedule("billing.settle_open", kind="billing.settle_open", cron="* * * * *")
