"""Does this key open, and what? One fetch from the cache, else one query."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from accounts.models import ApiKey
from accounts.providers import session_cache, tokens
from core.actor import Actor, ActorType

PREFIX = "ck_live_"
_SHAPE = re.compile(r"ck_live_(?P<lookup>[a-z0-9]{12})_(?P<secret>[A-Za-z0-9_-]{43})")
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """What one request needs to know about a live key. `expires_at` in seconds since 1970, None: never. `name` is the
    service account's, when the key is one's."""

    key_id: UUID
    organization_id: UUID
    name: str
    secret_hash: bytes
    scopes: frozenset[str]
    expires_at: float | None
    service_account_id: UUID | None = None

    @property
    def actor(self) -> Actor:
        """As whom the request acts: as the key, or as the service account to which it belongs."""
        if self.service_account_id is not None:
            return Actor(
                ActorType.SERVICE_ACCOUNT,
                id=self.service_account_id,
                label=self.name,
                organization_id=self.organization_id,
                session_id=self.key_id,
            )
        return Actor(
            ActorType.API_KEY,
            id=self.key_id,
            label=self.name,
            organization_id=self.organization_id,
            scopes=self.scopes,
        )

    def dump(self) -> bytes:
        return json.dumps(
            [
                self.key_id.hex,
                self.organization_id.hex,
                self.name,
                self.secret_hash.hex(),
                sorted(self.scopes),
                self.expires_at,
                self.service_account_id.hex if self.service_account_id else None,
            ]
        ).encode()

    @classmethod
    def load(cls, value: bytes) -> KeySnapshot:
        key_id, organization_id, name, secret_hash, scopes, expires_at, *rest = json.loads(value)
        account_id = rest[0] if rest else None  # an entry of an earlier version has none
        return cls(
            UUID(hex=key_id),
            UUID(hex=organization_id),
            name,
            bytes.fromhex(secret_hash),
            frozenset(scopes),
            expires_at,
            UUID(hex=account_id) if account_id else None,
        )


def live(text: str, now: datetime) -> KeySnapshot | None:
    """Return what the key opens, None when it is unknown, wrong, revoked or expired at `now`."""
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        return None
    lookup, secret = shape["lookup"], shape["secret"]
    name = session_cache.api_key_key(lookup)
    try:
        cached = session_cache.get(name)
    except session_cache.Ended:
        return None
    snapshot = KeySnapshot.load(cached) if cached is not None else _from_database(lookup, name)
    if snapshot is None or not hmac.compare_digest(snapshot.secret_hash, tokens.hash_of(secret)):
        return None
    if snapshot.expires_at is not None and now.timestamp() >= snapshot.expires_at:
        return None
    if cached is None:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=now - _TOUCH_EVERY)
        ApiKey.objects.filter(unused, pk=snapshot.key_id).update(last_used_at=now)
    return snapshot


def _from_database(lookup: str, name: str) -> KeySnapshot | None:
    found = _query(lookup)
    if found is None:
        return None
    if session_cache.remember(name, found.dump()):
        again = _query(lookup)
        if again != found:
            session_cache.doubt([name])
            found = again
    return found


def _query(lookup: str) -> KeySnapshot | None:
    rows = ApiKey.objects.select_related("service_account").filter(lookup=lookup, revoked_at=None)
    key = rows.filter(service_account__deactivated_at=None).first()
    if key is None:
        return None
    account = key.service_account
    return KeySnapshot(
        key.pk,
        key.organization_id,
        account.name if account else key.name,
        bytes(key.secret_hash),
        frozenset(key.scopes),
        key.expires_at.timestamp() if key.expires_at else None,
        account.pk if account else None,
    )
