"""Service accounts: programs of an organisation that act in their own name, by API keys of their own."""

from __future__ import annotations

from datetime import datetime

from accounts import events
from accounts.errors import ServiceAccountActive, ServiceAccountInactive
from accounts.models import ApiKey, Organization, ServiceAccount
from accounts.selectors import holding
from accounts.services import api_keys
from accounts.services.locks import lock_organization, still_there
from audit import record
from core.access import Role, require
from core.actor import Actor
from core.commands import command
from core.errors import InvalidInput


@command("accounts.service_account.create")
def create(*, actor: Actor, organization: Organization, name: str, role: str = "") -> ServiceAccount:
    """Make a service account; `role` is what it is to the organisation, "" for nothing yet. Writes
    `accounts.service_account.created`. Raises `PermissionNotHeld` for a role that has more than the actor."""
    require(actor, "accounts.service_account.manage", organization)
    lock_organization(organization.pk)
    _check_role(actor, organization, role)
    account = ServiceAccount.objects.create(
        organization=organization,
        name=name,
        role=role,
        created_by_id=actor.person_id,
    )
    record(events.SERVICE_ACCOUNT_CREATED, actor=actor, subject=account, after={"name": name, "role": role})
    return account


@command("accounts.service_account.update")
def update(
    *, actor: Actor, account: ServiceAccount, name: str | None = None, role: str | None = None
) -> ServiceAccount:
    """Change the name or the role of a service account; what is None stays. Writes `accounts.service_account.updated`
    when something changed. Raises `PermissionNotHeld` for a role that has more than the actor."""
    require(actor, "accounts.service_account.manage", account)
    lock_organization(account.organization_id)
    account = still_there(account)
    wanted = {"name": name, "role": role}
    changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(account, key)}
    if not changes:
        return account
    if "role" in changes:
        _check_role(actor, account.organization, changes["role"])
    before = {key: getattr(account, key) for key in changes}
    for key, value in changes.items():
        setattr(account, key, value)
    account.save(update_fields=list(changes))
    _doubt_keys(account)
    record(events.SERVICE_ACCOUNT_UPDATED, actor=actor, subject=account, before=before, after=changes)
    return account


@command("accounts.service_account.deactivate")
def deactivate(*, actor: Actor, account: ServiceAccount, now: datetime) -> ServiceAccount:
    """Shut all keys of a service account at once; what it was given stays with it. Writes
    `accounts.service_account.deactivated`. Raises `ServiceAccountInactive` when it is already."""
    require(actor, "accounts.service_account.manage", account)
    lock_organization(account.organization_id)
    account = still_there(account)
    if not account.is_active:
        raise ServiceAccountInactive
    account.deactivated_at = now
    account.save(update_fields=["deactivated_at"])
    _doubt_keys(account)
    record(events.SERVICE_ACCOUNT_DEACTIVATED, actor=actor, subject=account, occurred_at=now)
    return account


@command("accounts.service_account.reactivate")
def reactivate(*, actor: Actor, account: ServiceAccount, now: datetime) -> ServiceAccount:
    """Let the keys of a service account open again, those that were not revoked. Writes
    `accounts.service_account.reactivated`. Raises `ServiceAccountActive`, and `PermissionNotHeld` when the account
    holds what the actor lacks."""
    require(actor, "accounts.service_account.manage", account)
    lock_organization(account.organization_id)
    account = still_there(account)
    if account.is_active:
        raise ServiceAccountActive
    holding.refuse_more_than_held(actor, account.organization, holding.permissions_of(account))
    account.deactivated_at = None
    account.save(update_fields=["deactivated_at"])
    _doubt_keys(account)
    record(events.SERVICE_ACCOUNT_REACTIVATED, actor=actor, subject=account, occurred_at=now)
    return account


def _check_role(actor: Actor, organization: Organization, role: str) -> None:
    if role == Role.OWNER:
        raise InvalidInput.at("/role", "A service account is an administrator at most.", "invalid_choice")
    if role:
        holding.refuse_more_than_held(actor, organization, holding.permissions_of_role(role))


def _doubt_keys(account: ServiceAccount) -> None:
    api_keys.doubt(ApiKey.objects.filter(service_account=account, revoked_at=None).values_list("lookup", flat=True))
