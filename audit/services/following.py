"""Moving the followers on: a batch each, under the relay's lease, at least once."""

from __future__ import annotations

from datetime import timedelta
from uuid import NAMESPACE_OID, uuid5

import structlog
from django.db import DatabaseError, InterfaceError, transaction

from audit.events import FOLLOWER_RESET
from audit.following import Declared, followers
from audit.models import Event, Follower, FollowerState, Position, Tree
from core import clock
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import NotFound
from core.events import Subject, record
from core.relay import HeldLease, duty

MAX_FAILURES = 8
_FIRST_WAIT = 2.0
_LONGEST_WAIT = 300.0

log = structlog.get_logger(__name__)


@duty("follow", order=20)
def follow(lease: HeldLease) -> int:
    """Hand one batch to each follower that is behind; return how many positions they moved on."""
    size = Tree.objects.values_list("size", flat=True).get()
    rows = {row.name: row for row in Follower.objects.all()}
    moved = 0
    for declared in followers.values():
        row = rows.get(declared.name) or _introduce(declared, size)
        is_waiting = row.retry_at is not None and row.retry_at > clock.now()
        if row.position < size and row.state == FollowerState.RUNNING and not is_waiting:
            moved += _advance(declared, row, size, lease)
    return moved


@command("audit.follower.reset")
def reset(*, actor: Actor, name: str, position: int | None = None) -> Follower:
    """Let a parked follower try again; `position` sets what it has read last (0: all anew). Writes
    `audit.follower.reset`. Raises NotFound for a name that no app declares."""
    require(actor, "audit.follower.reset")
    if name not in followers:
        raise NotFound(f"There is no follower '{name}'; known are: {', '.join(sorted(followers)) or 'none'}.")
    Follower.objects.bulk_create([Follower(name=name)], ignore_conflicts=True)
    row = Follower.objects.select_for_update().get(name=name)
    before = {"state": row.state, "position": row.position}
    if position is not None:
        row.position = min(position, Tree.objects.values_list("size", flat=True).get())
    row.state, row.failures, row.retry_at, row.error = FollowerState.RUNNING, 0, None, ""
    row.save()
    # A follower has a name and no id; its subject's id follows from the name, so that its events stand together.
    subject = Subject("follower", uuid5(NAMESPACE_OID, f"follower:{name}"))
    after = {"state": row.state, "position": row.position}
    record(FOLLOWER_RESET, actor=actor, subject=subject, before=before, after=after, data={"name": name})
    return row


def _introduce(declared: Declared, size: int) -> Follower:
    start = size if declared.is_for_new else 0
    row, _ = Follower.objects.get_or_create(name=declared.name, defaults={"position": start})
    return row


def _advance(declared: Declared, row: Follower, size: int, lease: HeldLease) -> int:
    """Hand over the next batch; after a failure one event at a time, so that only the one that fails stands still."""
    batch = 1 if row.failures else declared.batch
    last = min(row.position + (declared.batch if declared.types else batch), size)
    events, last = _read(declared, row.position, last, batch)
    try:
        if events:
            declared.function(events)
    except (DatabaseError, InterfaceError) as fault:
        if not _is_database_there():
            raise
        _note_failure(declared, row, events, fault, lease)
        return 0
    except Exception as fault:
        _note_failure(declared, row, events, fault, lease)
        return 0
    with transaction.atomic():
        lease.hold()
        # A reset meanwhile wins: the cursor moves only from where it was read.
        moved = Follower.objects.filter(pk=row.pk, position=row.position).update(
            position=last, failures=0, retry_at=None, error="", moved_at=clock.now()
        )
    return last - row.position if moved else 0


def _read(declared: Declared, after: int, last: int, batch: int) -> tuple[list[Event], int]:
    """Return up to `batch` wanted events behind position `after`, and the position up to which that is all."""
    positions = dict(
        Position.objects.filter(position__gt=after, position__lte=last).values_list("event_id", "position")
    )
    wanted = Event.objects.filter(pk__in=positions)
    if declared.types is not None:
        wanted = wanted.filter(type__in=declared.types)
    events = sorted(wanted, key=lambda event: positions[event.pk])
    if len(events) > batch:
        events = events[:batch]
        last = positions[events[-1].pk]
    return events, last


def _note_failure(declared: Declared, row: Follower, events: list[Event], fault: Exception, lease: HeldLease) -> None:
    failures = row.failures + 1
    # Alone with one event, it is that event; in a batch it is not known yet which.
    is_parked = failures >= MAX_FAILURES
    wait = min(_FIRST_WAIT * 2 ** (failures - 1), _LONGEST_WAIT)
    first = events[0].public_id if events else "no event"
    error = f"{type(fault).__name__}: {fault} (at {first})"[:2000].replace("\x00", "\ufffd")
    with transaction.atomic():
        lease.hold()
        Follower.objects.filter(pk=row.pk, position=row.position).update(
            failures=failures,
            error=error,
            state=FollowerState.PARKED if is_parked else FollowerState.RUNNING,
            retry_at=None if is_parked else clock.now() + timedelta(seconds=wait),
        )
    report = log.error if is_parked else log.warning
    report(
        "follower_parked" if is_parked else "follower_failed", follower=declared.name, failures=failures, error=error
    )


def _is_database_there() -> bool:
    try:
        Tree.objects.exists()
    except (DatabaseError, InterfaceError):
        return False
    return True
