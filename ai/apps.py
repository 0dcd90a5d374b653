from django.apps import AppConfig


class AiConfig(AppConfig):
    name = "ai"
    verbose_name = "Assistant"

    def ready(self) -> None:
        from ai import documents, events, permissions, providers, streams, tasks  # noqa: F401  (declares them)
        from core.schedules import schedule

        schedule("ai.give_up_lost", kind="ai.give_up_lost", cron="* * * * *")
        schedule("ai.publish_help_pages", kind="ai.publish_help_pages", cron="*/10 * * * *")
        schedule("ai.forget_old_questions", kind="ai.forget_old_questions", cron="31 3 * * *")
