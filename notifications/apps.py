from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    verbose_name = "Notifications"

    def ready(self) -> None:
        from notifications import events, followers, permissions, streams, tasks  # noqa: F401  (they declare themselves)
