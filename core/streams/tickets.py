"""Tickets: the right to open one stream, once, within a minute.

A browser's `EventSource` cannot send a header, and what stands in an address ends up in logs and histories. So the
token in the address is good for nothing a moment later: it is spent by the first use, kept as a hash, and gone in a
minute. From then on its row is the open stream, by which the streams of one person are counted over all processes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from core import clock, context
from core.actor import Actor
from core.api.replies import encode
from core.commands import command
from core.errors import Forbidden, InvalidInput, LimitReached, NotFound, Unauthenticated
from core.models import StreamTicket
from core.streams.registry import Reader, Stream, streams
from core.streams.standing import Proof, Standing, standing_of

GOOD_FOR = timedelta(minutes=1)
KEPT = timedelta(hours=1)
PURGE_BATCH = 5000
_LONGEST_PARAMETERS = 16 * 1024
_UNSEEN_ROUNDS = 2.5  # an open stream whose process was silent for so many rounds counts no more
_SHAPE = re.compile(r"st_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the client is given, once."""

    token: str
    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A ticket that was let in: the row that stands for the open stream, who reads, and on what that rests."""

    id: UUID
    stream: Stream
    reader: Reader
    proof: Proof
    basis: str


def known(name: str) -> Stream:
    """Return the stream `name`. Raises `NotFound`."""
    found = streams.get(name)
    if found is None:
        raise NotFound("There is no such stream.", streams=sorted(streams))
    return found


@command("core.stream.issue_ticket")
def issue(
    *, stream: str, actor: Actor, parameters: Mapping[str, Any] | None = None, now: datetime | None = None
) -> Ticket:
    """Issue a ticket for `stream` to `actor`, in the context's organisation. Raises `NotFound` for a stream that there
    is not, `Forbidden` for who may not read it, and whatever else the stream's check raises.

    It changes nothing of the business and records no event; its refusal is recorded like that of any command.
    """
    now = now or clock.now()
    if actor.id is None or actor.on_behalf_of is not None:
        raise Forbidden("Only somebody signed in as themselves can read a stream.")
    wanted, asked = known(stream), dict(parameters or {})
    if len(encode(asked)) > _LONGEST_PARAMETERS:
        raise InvalidInput.at("/parameters", "The parameters may have 16 KB at most.", "too_long")
    organization_id = actor.organization_id or context.current().organization_id
    wanted.admit(Reader(actor, organization_id, asked))
    token = f"st_{secrets.token_urlsafe(32)}"
    StreamTicket.objects.create(
        token_hash=_hash(token),
        stream=stream,
        actor_type=str(actor.type),
        actor_id=actor.id,
        session_id=actor.session_id,
        organization_id=organization_id,
        parameters=asked,
        created_at=now,
        expires_at=now + GOOD_FOR,
    )
    base = settings.STREAMS_URL or settings.PUBLIC_URL.rstrip("/")
    return Ticket(token, f"{base}/streams/{stream}?ticket={token}", now + GOOD_FOR)


# --- entry, in the process of the streams ---


def enter(*, token: str, stream: Stream, last_event_id: str | None, now: datetime) -> Entry:
    """Spend the ticket and let its holder in. Whatever is refused, the ticket is spent.

    Raises `Unauthenticated` for a ticket that is not, is used or has expired, or whose session or key has ended since;
    `Forbidden` for one of another stream; what the stream's check raises; `LimitReached` beyond ten open streams.
    """
    row = _spend(token, now)
    if row.stream != stream.name:
        raise Forbidden("This ticket is for another stream.")
    proof = Proof(row.actor_type, row.actor_id, row.session_id)
    standing = standing_of([proof], now).get(proof)
    if standing is None:
        raise Unauthenticated("The session or key by which the ticket was got has ended.")
    reader = Reader(standing.actor, row.organization_id, row.parameters, last_event_id)
    with context.changed(organization_id=row.organization_id):
        stream.admit(reader)
    _open(row, now)
    return Entry(row.pk, stream, reader, proof, standing.basis)


def _spend(token: str, now: datetime) -> StreamTicket:
    """Use the ticket up in one statement: of two who come with it at once one is let in."""
    if _SHAPE.fullmatch(token):
        spent = StreamTicket.objects.raw(_SPEND, [now, _hash(token), now])
        for row in spent:
            return row
    raise Unauthenticated("The ticket is unknown, used or expired. Get a new one from the API.")


_SPEND = f"""
UPDATE {StreamTicket._meta.db_table} SET used_at = %s
WHERE token_hash = %s AND used_at IS NULL AND expires_at > %s RETURNING *
"""  # noqa: S608 - the table's name


def _open(row: StreamTicket, now: datetime) -> None:
    """Count the stream among those of its reader, one at a time. Raises `LimitReached`."""
    alive_since = now - timedelta(seconds=settings.STREAMS_RECHECK_SECONDS * _UNSEEN_ROUNDS)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"streams:{row.actor_id}"])
        cursor.execute(_OPEN, [now, row.pk, row.actor_type, row.actor_id, alive_since, settings.STREAMS_PER_PERSON])
        if not cursor.rowcount:
            raise LimitReached(
                f"{settings.STREAMS_PER_PERSON} streams are open at once at most; close one first.",
                headers={"Retry-After": str(round(settings.STREAMS_RECHECK_SECONDS))},
            )


_OPEN = f"""
UPDATE {StreamTicket._meta.db_table} SET seen_at = %s WHERE id = %s AND (
    SELECT count(*) FROM {StreamTicket._meta.db_table}
    WHERE actor_type = %s AND actor_id = %s AND seen_at > %s AND ended_at IS NULL
) < %s
"""  # noqa: S608 - the table's name


def review(entries: Mapping[UUID, tuple[Proof, str]], now: datetime) -> set[UUID]:
    """Return those of the open streams whose reader does not stand any more as at entry, and note that the others are
    still open. A few statements, however many there are."""
    found: Mapping[Proof, Standing] = standing_of({proof for proof, _ in entries.values()}, now)
    fallen = {key for key, (proof, basis) in entries.items() if proof not in found or found[proof].basis != basis}
    _note("seen_at", entries.keys() - fallen, now)
    return fallen


def close(ids: Collection[UUID], now: datetime) -> None:
    """Note that these streams have ended, so that their reader may open others."""
    _note("ended_at", ids, now)


def _note(column: str, ids: Collection[UUID], now: datetime) -> None:
    """Write a moment into many rows: as one array, where `IN` would be a statement of thousands of parameters."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {StreamTicket._meta.db_table} SET {column} = %s WHERE id = ANY(%s)", [now, list(ids)])  # noqa: S608


def purge(now: datetime) -> int:
    """Delete tickets that nobody can use any more and streams that ended or whose process died, an hour after; at
    most 5,000. Returns how many."""
    old = now - KEPT
    gone = Q(expires_at__lt=old) & (Q(seen_at=None) | Q(seen_at__lt=old) | Q(ended_at__lt=old))
    batch = list(StreamTicket.objects.filter(gone).values_list("pk", flat=True)[:PURGE_BATCH])
    return StreamTicket.objects.filter(pk__in=batch).delete()[0] if batch else 0


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
