from django.apps import AppConfig


class AiConfig(AppConfig):
    name = "ai"
    verbose_name = "Assistant"

    def ready(self) -> None:
        from ai import events, permissions  # noqa: F401  (declares them)
