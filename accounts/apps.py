from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "People and organisations"

    def ready(self) -> None:
        from accounts import permissions  # noqa: F401  (declares them)
        from accounts.policy import RolePolicy
        from core import access

        access.use_policy(RolePolicy())
