"""Carries the product's tuples and models to an OpenFGA server: a step of the relay.

PostgreSQL is the truth: tuples are written there, in the transaction of what they protect. The change log says which
tuples have changed; what is carried is how each of them stands now, not what was done to it. So it does not matter in
which order changes are read, nor how often: whoever is killed in the middle begins the batch anew.

A server that is new (or was emptied) is given the newest model and all tuples first; PostgreSQL answers meanwhile. A
tuple that the newest model does not allow is not carried, and is once a model allows it.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from accounts.permissions import changes, providers, reading, writes
from accounts.permissions.engine import Engine
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import from_json
from accounts.permissions.language.model import WILDCARD, Model, Restriction
from accounts.permissions.models import OpenFGACopy, RelationTuple
from accounts.permissions.product import STORE
from accounts.permissions.providers.local import LocalProvider
from accounts.permissions.tuples import KEY, Key, Tuple
from core import clock
from core.errors import AppError
from core.relay import HeldLease, duty

if TYPE_CHECKING:  # the client behind it is slow to import
    from accounts.permissions.providers.openfga import OpenFGAProvider
    from accounts.permissions.providers.openfga_engine import ServerEngine

BATCH: Final = 500
_BEAT: Final = timedelta(seconds=5)
_REST, _LONGEST_REST = 5.0, 40.0  # seconds that a server which failed is left alone by the relay, doubled each time
_LOOK_AGAIN: Final = 60.0  # seconds until the store's id is asked for again

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Known:
    """What this process found out about the server."""

    server_store: str = ""
    at: tuple[str, str] = ("", "")
    looked_at: float = float("-inf")
    rests_until: float = float("-inf")
    failures: int = 0
    early: set[int] = field(default_factory=set)


_known = _Known()


@duty("carry to OpenFGA", order=45)
def carry(lease: HeldLease) -> int:
    """Carry one batch; return how much was carried. Does nothing unless an OpenFGA server is chosen; one that fails is
    left alone for some seconds, so that it does not hold up the other duties."""
    if settings.PERMISSIONS_PROVIDER != providers.OPENFGA or time.monotonic() < _known.rests_until:
        return 0
    try:
        did = step(lease, providers.server(), STORE)
        _known.failures = 0
        return did
    except (AppError, Refused) as fault:
        _known.rests_until = time.monotonic() + min(_REST * 2**_known.failures, _LONGEST_REST)
        _known.failures += 1
        _known.looked_at = float("-inf")
        log.warning("openfga_not_carried", fault=str(fault)[:300])
        return 0


def step(lease: HeldLease, provider: OpenFGAProvider, store: str) -> int:
    """Do what is next for a store: its model, tuples that were there before, changes. Returns how much was done, 0 when
    the server has all. Raises NotLeading, Refused and what the provider raises; then it is safe to begin again."""
    try:
        local = LocalProvider().open(store)
    except Refused:
        return 0  # there is no model yet
    copy = _copy_of(lease, provider, local.store_id)
    engine = _carry_model(lease, provider, copy, local)
    if not copy.is_copied:
        return _copy_some(lease, engine, copy)
    return _follow(lease, engine, copy)


def _copy_of(lease: HeldLease, provider: OpenFGAProvider, store_id: int) -> OpenFGACopy:
    """How far the store was carried; all anew when the server's store is another than before."""
    at = (provider.server.address.url, settings.OPENFGA_STORE)
    if at != _known.at or time.monotonic() - _known.looked_at > _LOOK_AGAIN:
        _known.server_store = provider.store_id(at[1]) or provider.make(at[1])
        _known.at, _known.looked_at = at, time.monotonic()
    copy = OpenFGACopy.objects.filter(store_id=store_id).first()
    if copy is None or copy.server_store != _known.server_store:
        copy = OpenFGACopy(store_id=store_id, server_store=_known.server_store, cursor=changes.end())
        with transaction.atomic():
            lease.hold()
            OpenFGACopy.objects.filter(store_id=store_id).delete()
            copy.save(force_insert=True)
    return copy


def _carry_model(lease: HeldLease, provider: OpenFGAProvider, copy: OpenFGACopy, newest: Engine) -> ServerEngine:
    """Give the server the newest model, and the tuples that it allows and the one before did not."""
    if copy.model_id == newest.model_id:
        return provider.engine(copy.server_store, copy.server_model, newest.model)
    engine = provider.newest(copy.server_store)
    if engine is None or engine.model != newest.model:  # equal: who gave it was killed before saying so here
        engine = provider.add_model(copy.server_store, newest.model)
    if copy.model is not None:
        for some in _newly_allowed(newest.store_id, from_json(copy.model.document), newest.model):
            _check_lead(lease)
            push(engine, newest.store_id, some)
    copy.model_id, copy.server_model = newest.model_id, engine.model_id
    _keep(lease, copy, "model_id", "server_model")
    log.info("openfga_model_carried", model=newest.model_id, server_model=engine.model_id)
    return engine


def _newly_allowed(store_id: int, before: Model, after: Model) -> Iterable[list[Key]]:
    """The stored tuples that `after` allows and `before` does not."""
    new = _allowed(after) - _allowed(before)
    if not new:
        return
    wanted = Q(pk__in=[])
    for object_type, relation, restriction in new:
        fits = Q(
            object_type=object_type,
            relation=relation,
            subject_type=restriction.type,
            subject_relation=restriction.relation,
            condition=restriction.condition,
        )
        wanted |= fits & (Q(subject_id=WILDCARD) if restriction.is_wildcard else ~Q(subject_id=WILDCARD))
    yield from by_id(RelationTuple.objects.filter(wanted, store_id=store_id))


def by_id(rows: Any, batch: int = BATCH) -> Iterable[list[Key]]:
    """The keys of tuples in batches."""
    last = 0
    while found := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", *KEY)[:batch]):
        last = found[-1][0]
        yield [row[1:] for row in found]


def _allowed(model: Model) -> set[tuple[str, str, Restriction]]:
    return {
        (definition.name, relation.name, restriction)
        for definition in model.types.values()
        for relation in definition.relations.values()
        if relation.is_assignable
        for restriction in relation.restrictions
    }


def _copy_some(lease: HeldLease, engine: ServerEngine, copy: OpenFGACopy) -> int:
    """Carry the next tuples of those that were there before the cursor."""
    rows = RelationTuple.objects.filter(store_id=copy.store_id, pk__gt=copy.copied_to).order_by("pk")
    found = list(rows.values_list("pk", *KEY)[:BATCH])
    _check_lead(lease)
    push(engine, copy.store_id, [row[1:] for row in found])
    if found:
        copy.copied_to = found[-1][0]
    if len(found) < BATCH:  # what is written meanwhile stands in the change log behind the cursor
        copy.is_copied = True
        log.info("openfga_copied", store=copy.store_id)
    _keep(lease, copy, "copied_to", "is_copied")
    return max(1, len(found))


def _follow(lease: HeldLease, engine: ServerEngine, copy: OpenFGACopy) -> int:
    """Carry what the next changes are about."""
    began = clock.now()
    page = changes.read(copy.store_id, after=copy.cursor, limit=BATCH)
    if page.items:
        _check_lead(lease)
        push(engine, copy.store_id, {change.tuple.key for change in page.items})
        copy.cursor = page.next or copy.cursor
    is_whole = page.is_complete and _carry_early(lease, engine, copy)
    is_due = copy.carried_at is None or began - copy.carried_at >= _BEAT
    if is_whole and (page.items or is_due):
        copy.carried_at = began
    elif not page.items:
        return 0
    _keep(lease, copy, "cursor", "carried_at")
    return len(page.items)


def _carry_early(lease: HeldLease, engine: ServerEngine, copy: OpenFGACopy) -> bool:
    """Carry what has committed and is held back by an older transaction that is still open; the cursor stays, so that
    it is carried again. Returns whether that was all."""
    held = changes.held_back(copy.store_id, after=copy.cursor, limit=BATCH)
    new = {number: change for number, change in held.items() if number not in _known.early}
    if new:
        _check_lead(lease)
        push(engine, copy.store_id, {change.tuple.key for change in new.values()})
    _known.early = set(held)
    return len(held) < BATCH


def _check_lead(lease: HeldLease) -> None:
    """Raise NotLeading before anything is sent that another relay may have overtaken."""
    with transaction.atomic():
        lease.hold()


def _keep(lease: HeldLease, copy: OpenFGACopy, *names: str) -> None:
    with transaction.atomic():
        lease.hold()
        copy.save(update_fields=names)


# what a server is given


def push(engine: ServerEngine, store_id: int, keys: Collection[Key]) -> None:
    """Make tuples on the server what they are in PostgreSQL now: written, or deleted when they are not there or the
    model does not allow them. What the server alone refuses is logged and left out: `openfga_check` names it."""
    now = {one.key: one for one in reading.stored(store_id, keys)}
    written = [one for one in now.values() if _can_be_written(engine.model, one)]
    kept = {one.key for one in written}
    engine.push(deletes=[Tuple.of_key(key) for key in keys if key not in kept])
    for start in range(0, len(written), 100):
        some = written[start : start + 100]
        try:
            engine.push(writes=some)
        except Refused as refused:
            if refused.code is Code.MODEL_NOT_FOUND:  # the server lost its memory: nothing of this is carried
                raise
            for one in some:
                _push_one(engine, one)


def _push_one(engine: ServerEngine, one: Tuple) -> None:
    try:
        try:
            engine.push(writes=[one])
        except Refused as refused:
            if refused.code is not Code.WRITE_FAILED:
                raise
            engine.push(deletes=[one])  # it is there under another condition, which no write replaces
            engine.push(writes=[one])
    except Refused as refused:
        log.error("openfga_tuple_refused", tuple=str(one), fault=str(refused)[:300])


def _can_be_written(model: Model, one: Tuple) -> bool:
    try:
        writes.check(model, one)
    except Refused:
        return False
    return True
