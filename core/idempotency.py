"""Keys that make a request happen once (the store; `core.api.once` speaks HTTP).

A key is claimed in a statement of its own, with a lease. Then either change, event and stored reply commit together, or
a durable command writes `operation_key` on its persisted operation. A process that dies leaves its claim; when its
lease is over the next try takes it with a higher token, and who holds the older one cannot complete any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from core import clock
from core.errors import IdempotencyReused, RequestInProgress
from core.ids import new_id
from core.models import IdempotencyKey, IdempotencyState

RETENTION = timedelta(hours=24)
PURGE_BATCH = 500


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to carry the request out. `operation_key` stays the same for each try with one key."""

    id: UUID
    token: int
    operation_key: str


@dataclass(frozen=True, slots=True)
class StoredReply:
    """What was answered the first time. `body` is None when it held a secret."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class LeaseLost(RequestInProgress):
    """The claim was taken over meanwhile: what was done under it is rolled back."""


# One statement decides. A dead claim is taken over by the same request only; an expired key begins anew.
_CLAIM = """
INSERT INTO core_idempotencykey AS known (id, scope, key, fingerprint, state, token, lease_until, operation_key,
    is_reply_kept, reply_status, reply_headers, reply_body, created_at, expires_at)
VALUES (%(id)s, %(scope)s, %(key)s, %(fingerprint)s, 'claimed', 1, %(lease_until)s, %(operation_key)s,
    true, NULL, '{}', NULL, %(now)s, %(expires_at)s)
ON CONFLICT (scope, key) DO UPDATE SET
    token = known.token + 1,
    lease_until = excluded.lease_until,
    fingerprint = excluded.fingerprint,
    state = 'claimed',
    operation_key = CASE WHEN known.expires_at <= %(now)s THEN excluded.operation_key ELSE known.operation_key END,
    is_reply_kept = true, reply_status = NULL, reply_headers = '{}', reply_body = NULL,
    created_at = CASE WHEN known.expires_at <= %(now)s THEN excluded.created_at ELSE known.created_at END,
    expires_at = CASE WHEN known.expires_at <= %(now)s THEN excluded.expires_at ELSE known.expires_at END
WHERE (known.state = 'claimed' AND known.lease_until <= %(now)s AND known.fingerprint = excluded.fingerprint)
    OR (known.expires_at <= %(now)s AND (known.state = 'completed' OR known.lease_until <= %(now)s))
RETURNING id, token, operation_key
"""


def digest(*parts: object) -> str:
    """Return one hash for `parts`, each kept apart from the next."""
    joined = b"".join(f"{len(raw)}:".encode() + raw for raw in (str(part).encode() for part in parts))
    return hashlib.sha256(joined).hexdigest()


def claim(*, scope: str, key: str, fingerprint: str) -> Claim | StoredReply:
    """Claim `key`, or return what was answered. Commits at once (outside of a transaction).

    Raises `RequestInProgress` while another holds it, `IdempotencyReused` when it belongs to another request.
    """
    now = clock.now()
    values: dict[str, Any] = {
        "id": new_id(),
        "scope": scope,
        "key": key,
        "fingerprint": fingerprint,
        "now": now,
        "lease_until": now + timedelta(seconds=settings.IDEMPOTENCY_LEASE),
        "operation_key": new_id().hex,
        "expires_at": now + RETENTION,
    }
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    if row is not None:
        return Claim(*row)
    known = IdempotencyKey.objects.filter(scope=scope, key=key).first()
    if known is None:  # released between the two statements
        raise RequestInProgress("The same request is just ending. Try again.", headers={"Retry-After": "1"})
    if known.fingerprint != fingerprint:
        raise IdempotencyReused("This idempotency key was sent before with another request. Take a fresh one.")
    if known.state == IdempotencyState.CLAIMED:
        raise RequestInProgress("The same request is still running. Try again.", headers={"Retry-After": "1"})
    assert known.reply_status is not None
    body = bytes(known.reply_body or b"") if known.is_reply_kept else None
    return StoredReply(known.reply_status, known.reply_headers, body)


def complete(claimed: Claim, *, status: int, headers: Mapping[str, str], body: bytes | None) -> None:
    """Store the reply in the present transaction (`body` None: it held a secret). Raises `LeaseLost`."""
    changed = IdempotencyKey.objects.filter(pk=claimed.id, token=claimed.token, state=IdempotencyState.CLAIMED).update(
        state=IdempotencyState.COMPLETED,
        reply_status=status,
        reply_headers=dict(headers) if body is not None else {},
        reply_body=body,
        is_reply_kept=body is not None,
    )
    if not changed:
        raise LeaseLost("Another try with the same key took over. Try again.", headers={"Retry-After": "1"})


def release(claimed: Claim, *, is_begun: bool) -> None:
    """Let the key be tried again at once. `is_begun`: an operation may stand under its `operation_key`, so that the key
    stays bound to this body; otherwise nothing happened and the key is forgotten."""
    mine = IdempotencyKey.objects.filter(pk=claimed.id, token=claimed.token, state=IdempotencyState.CLAIMED)
    if is_begun:
        mine.update(lease_until=clock.now())
    else:
        mine.delete()


def purge() -> int:
    """Delete up to 500 keys past their 24 hours; returns how many."""
    now = clock.now()
    old = IdempotencyKey.objects.filter(expires_at__lte=now, lease_until__lte=now).order_by("expires_at")
    deleted, _ = IdempotencyKey.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PURGE_BATCH])).delete()
    return deleted
