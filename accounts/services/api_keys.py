"""API keys: `ck_live_<lookup>_<secret>`. The secret is shown once; only its hash is kept."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from accounts import events
from accounts.errors import ApiKeyNotLive, ScopeNotHeld, ServiceAccountInactive
from accounts.models import ApiKey, Organization, ServiceAccount
from accounts.providers import session_cache, tokens
from accounts.selectors import holding
from accounts.services.locks import lock_organization, still_there
from audit import record
from core import jobs, streams
from core.access import require
from core.actor import SYSTEM, Actor
from core.commands import command
from core.errors import InvalidInput

PREFIX = "ck_live_"
_LOOKUP_ALPHABET = "abcdefghjkmnpqrstvwxyz0123456789"


@command("accounts.api_key.create")
def create(
    *,
    actor: Actor,
    organization: Organization,
    name: str,
    scopes: Iterable[str] = (),
    service_account: ServiceAccount | None = None,
    expires_at: datetime | None = None,
    now: datetime,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its text, which is never seen again. It has scopes of its own, or opens what a
    service account may. Writes `accounts.api_key.created`. Raises `InvalidInput` for unknown scopes or an expiry in the
    past, `ScopeNotHeld` and `PermissionNotHeld` when it would do more than its maker, `ServiceAccountInactive`."""
    require(actor, "accounts.api_key.manage", organization)
    lock_organization(organization.pk)
    if service_account is None:
        wanted = _checked_scopes(actor, organization, scopes)
    else:
        wanted = []
        service_account = _checked_account(actor, organization, service_account, scopes)
    if expires_at is not None and expires_at <= now:
        raise InvalidInput.at("/expires_at", "It lies in the past.", "in_the_past")
    key, text = _with_new_secret(
        ApiKey(
            organization=organization,
            name=name,
            scopes=wanted,
            service_account=service_account,
            expires_at=expires_at,
        )
    )
    key.created_by_id = actor.person_id
    key.save()
    record(
        events.API_KEY_CREATED,
        actor=actor,
        subject=key,
        after={
            "name": name,
            "scopes": wanted,
            "service_account_id": str(service_account.pk) if service_account else None,
            "expires_at": expires_at.isoformat() if expires_at else None,
        },
        occurred_at=now,
    )
    return key, text


@command("accounts.api_key.rotate")
def rotate(*, actor: Actor, api_key: ApiKey, now: datetime) -> tuple[ApiKey, str]:
    """Give a key a new text; the old one stops at once. Writes `accounts.api_key.rotated`. Raises `ApiKeyNotLive`, and
    `ScopeNotHeld` or `PermissionNotHeld` when somebody would so come by a key that may do more."""
    require(actor, "accounts.api_key.manage", api_key)
    lock_organization(api_key.organization_id)
    key = _live(api_key, now)
    if key.service_account is not None:
        holding.refuse_more_than_held(actor, key.organization, holding.permissions_of(key.service_account))
    else:
        _refuse_more_than_held(actor, key.organization, key.scopes)
    _forget(key)
    key, text = _with_new_secret(key)
    key.save(update_fields=["lookup", "secret_hash"])
    record(events.API_KEY_ROTATED, actor=actor, subject=key, occurred_at=now)
    return key, text


@command("accounts.api_key.revoke")
def revoke(*, actor: Actor, api_key: ApiKey, now: datetime) -> ApiKey:
    """Shut a key at once. Writes `accounts.api_key.revoked`. Raises `ApiKeyNotLive` when it is shut already."""
    require(actor, "accounts.api_key.manage", api_key)
    key = _live(api_key, now)
    _forget(key)
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])
    record(events.API_KEY_REVOKED, actor=actor, subject=key, occurred_at=now)
    return key


def known_scopes() -> set[str]:
    """Return every scope that a key may have: permissions of an administrator, and their wildcards."""
    return {scope for name in holding.grantable() for scope in _scopes_over(name)}


def _checked_scopes(actor: Actor, organization: Organization, scopes: Iterable[str]) -> list[str]:
    wanted, known = sorted(set(scopes)), known_scopes()
    unknown = [scope for scope in wanted if scope not in known]
    if unknown:
        raise InvalidInput.at("/scopes", f"Unknown: {', '.join(unknown)}.", "unknown_scope")
    if not wanted:
        raise InvalidInput.at("/scopes", "Name at least one scope, or a service account.", "needs_scopes")
    _refuse_more_than_held(actor, organization, wanted)
    return wanted


def _checked_account(
    actor: Actor, organization: Organization, account: ServiceAccount, scopes: Iterable[str]
) -> ServiceAccount:
    if list(scopes):
        raise InvalidInput.at("/scopes", "The key of a service account has no scopes of its own.", "not_allowed")
    account = still_there(account)
    if account.organization_id != organization.pk:
        raise InvalidInput.at("/service_account_id", "There is no such service account.", "does_not_exist")
    if not account.is_active:
        raise ServiceAccountInactive
    holding.refuse_more_than_held(actor, organization, holding.permissions_of(account))
    return account


def _refuse_more_than_held(actor: Actor, organization: Organization, scopes: Iterable[str]) -> None:
    if actor.scopes is not None:
        if not set(scopes) <= actor.scopes:
            raise ScopeNotHeld
        return
    wanted = {name for name in holding.grantable() if not _scopes_over(name).isdisjoint(scopes)}
    if not wanted <= holding.held_by(actor, organization, wanted):
        raise ScopeNotHeld


def _scopes_over(permission: str) -> set[str]:
    """The scopes that each contain a permission: itself, all of its noun, all of its app."""
    app, noun, _verb = permission.split(".", 2)
    return {permission, f"{app}.{noun}.*", f"{app}.*"}


def _live(api_key: ApiKey, now: datetime) -> ApiKey:
    key = api_key.refreshed_for_update()
    if not key.is_live(now):
        raise ApiKeyNotLive
    return key


def _with_new_secret(key: ApiKey) -> tuple[ApiKey, str]:
    key.lookup = "".join(secrets.choice(_LOOKUP_ALPHABET) for _ in range(12))
    secret = tokens.new_secret()
    key.secret_hash = tokens.hash_of(secret)
    return key, f"{PREFIX}{key.lookup}_{secret}"


def doubt(lookups: Iterable[str]) -> list[str]:
    """Make each request with one of these keys ask PostgreSQL what it opens, and each stream that was opened by one ask
    anew: call it in the transaction that changes that. Returns their names in the cache."""
    streams.wake(streams.ACCESS_CHANGED)
    names = [session_cache.api_key_key(lookup) for lookup in lookups]
    if not session_cache.doubt(names):
        jobs.enqueue(session_cache.DOUBT_JOB, {"keys": names}, actor=SYSTEM)
    return names


def _forget(key: ApiKey) -> None:
    names = doubt([key.lookup])
    transaction.on_commit(lambda: session_cache.bury(names) and None)
