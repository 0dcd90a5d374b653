from allauth.account.apps import AccountConfig
from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    default = True
    name = "accounts"
    verbose_name = "People and organisations"

    def ready(self) -> None:
        from accounts import documents, events, followers, permissions, tasks  # noqa: F401  (they declare themselves)
        from accounts.api import authentication  # noqa: F401  (describes itself to the schema)
        from accounts.permissions import carrying, mirrors, providers  # noqa: F401  (a duty, a probe, a check)
        from accounts.policy import RelationPolicy
        from accounts.selectors.standing import standing_of
        from core import access
        from core.streams.standing import use_standing

        access.use_policy(RelationPolicy())
        use_standing(standing_of)
        mirrors.watch()
        post_migrate.connect(_sync_permissions, sender=self)


def _sync_permissions(*, using: str, **_kwargs: object) -> None:
    """Make the permission model of this version the newest, once its tables stand."""
    from django.db import connections

    from accounts.permissions import product
    from accounts.permissions.models import PermissionHop

    if PermissionHop._meta.db_table in connections[using].introspection.table_names():
        product.sync()


class AllauthConfig(AccountConfig):
    """allauth's app without its middleware, which redirects and answers on its own."""

    def ready(self) -> None:
        from allauth.account import checks  # noqa: F401
