from allauth.account.apps import AccountConfig
from django.apps import AppConfig


class AccountsConfig(AppConfig):
    default = True
    name = "accounts"
    verbose_name = "People and organisations"

    def ready(self) -> None:
        from accounts import documents, events, followers, permissions, tasks  # noqa: F401  (they declare themselves)
        from accounts.api import authentication  # noqa: F401  (describes itself to the schema)
        from accounts.permissions import carrying, providers  # noqa: F401  (a duty, a probe, a check)
        from accounts.policy import RolePolicy
        from accounts.selectors.standing import standing_of
        from core import access
        from core.streams.standing import use_standing

        access.use_policy(RolePolicy())
        use_standing(standing_of)


class AllauthConfig(AccountConfig):
    """allauth's app without its middleware, which redirects and answers on its own."""

    def ready(self) -> None:
        from allauth.account import checks  # noqa: F401
