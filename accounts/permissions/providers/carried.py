"""PostgreSQL with an OpenFGA server beside it: PERMISSIONS_PROVIDER=openfga.

Tuples and models are written to PostgreSQL alone; the relay carries them to the server (`carrying`). The server is
asked, and PostgreSQL, which knows the answer too, wherever the server's would be late, or not be whole:

* inside a transaction: it sees what it wrote itself, and does not wait for another machine;
* while the server has not got the newest model, or nothing was carried for half a minute (no relay runs);
* when the server fails, is not what its address says, cuts a list off, or refuses (it takes 100 tuples given;
  PostgreSQL refuses by the same codes and says what would be right).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

import structlog
from django.conf import settings
from django.db import connection

from accounts.permissions.engine import Engine
from accounts.permissions.expanding import Tree
from accounts.permissions.faults import Refused
from accounts.permissions.language.model import Model, Pair
from accounts.permissions.models import OpenFGACopy
from accounts.permissions.pages import Page
from accounts.permissions.providers.base import Health, ListCutOff, SavedModel
from accounts.permissions.providers.local import LocalProvider
from accounts.permissions.providers.openfga import OpenFGAProvider
from accounts.permissions.providers.openfga_engine import ServerEngine
from accounts.permissions.tuples import Given, Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome
from core import clock
from core.errors import AppError, ProviderMisconfigured

FRESH: Final = timedelta(seconds=30)
_REST: Final = 30.0  # seconds that an address which is not a server's is left alone
_LOOK_AGAIN: Final = 1.0
_looked: dict[tuple[int, int, str], tuple[float, OpenFGACopy | None]] = {}
_rests_until: dict[str, float] = {}  # by address

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CarriedEngine:
    """Asks `server`, writes to `local`, which answers wherever the server cannot. `local` is what to ask for an answer
    that must be of now (`consistency="higher"`)."""

    may_lag: ClassVar[bool] = True
    local: Engine
    server: ServerEngine

    @property
    def model(self) -> Model:
        return self.local.model

    def giving(self, given: Sequence[Tuple]) -> CarriedEngine:
        """Return an engine that brings these tuples along with every question."""
        return CarriedEngine(self.local.giving(given), self.server.giving(given))

    def check(
        self, subject: str, relation: str, target: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> bool:
        return bool(self._ask("check", subject, relation, target, tuple(given), context))

    def check_many(
        self, questions: Sequence[tuple[str, str, str]], given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[bool | Refused]:
        found: list[bool | Refused] = self._ask("check_many", questions, tuple(given), context)
        return found

    def list_objects(
        self, subject: str, relation: str, of_type: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        return list(self._ask("list_objects", subject, relation, of_type, tuple(given), context))

    def list_users(
        self, target: str, relation: str, kind: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        return list(self._ask("list_users", target, relation, kind, tuple(given), context))

    def page_of_objects(self, subject: str, relation: str, of_type: str, **more: Any) -> Page:
        """PostgreSQL's: it reads as much as the page needs, where a server would make the whole list."""
        return self.local.page_of_objects(subject, relation, of_type, **more)

    def page_of_users(self, target: str, relation: str, kind: str, **more: Any) -> Page:
        """PostgreSQL's, as `page_of_objects` is."""
        return self.local.page_of_users(target, relation, kind, **more)

    def objects_by_relation(
        self,
        subject: str,
        relations: Iterable[Pair],
        given: Given = (),
        context: Mapping[str, Any] = {},
    ) -> dict[Pair, list[str]]:
        return dict(self._ask("objects_by_relation", subject, tuple(relations), tuple(given), context))

    def expand(self, target: str, relation: str, given: Given = (), context: Mapping[str, Any] = {}) -> Tree:
        found: Tree = self._ask("expand", target, relation, tuple(given), context)
        return found

    def write(self, written: Sequence[Tuple], on_duplicate: OnDuplicate = "ignore") -> list[Outcome]:
        """See `Engine.write`: PostgreSQL, in the transaction of whoever writes."""
        return self.local.write(written, on_duplicate)

    def delete(self, deleted: Sequence[Tuple], on_missing: OnMissing = "ignore") -> list[Outcome]:
        """See `Engine.delete`."""
        return self.local.delete(deleted, on_missing)

    def allows(self, one: Tuple) -> bool:
        return self.local.allows(one)

    def __getattr__(self, name: str) -> Any:
        """What only our engine can do (explain, read, changes) it does here too."""
        return getattr(self.local, name)

    def _ask(self, question: str, *arguments: Any) -> Any:
        address = self.server.server.address.url
        if not connection.in_atomic_block and time.monotonic() >= _rests_until.get(address, float("-inf")):
            try:
                return getattr(self.server, question)(*arguments)
            except (ListCutOff, Refused):
                pass
            except AppError as fault:
                if isinstance(fault, ProviderMisconfigured):  # no breaker opens for it: it is not asked each time
                    _rests_until[address] = time.monotonic() + _REST
                log.warning("openfga_not_asked", question=question, fault=fault.code)
        return getattr(self.local, question)(*arguments)


def beside(local: Engine) -> Engine | CarriedEngine:
    """Return an engine of the product's store with the chosen server beside it; `local` itself inside a transaction,
    and while the server may not be asked. What the database says of that is kept for a second."""
    if connection.in_atomic_block:
        return local
    key, now = (local.store_id, local.model_id, settings.OPENFGA_URL), time.monotonic()
    looked_at, copy = _looked.get(key, (float("-inf"), None))
    if looked_at < now - _LOOK_AGAIN:
        copy = _fresh_copy(local)
        _looked.clear()  # other threads may do so too: nothing is read from it again here
        _looked[key] = (now, copy)
    if copy is None:
        return local
    server = OpenFGAProvider.of_settings().engine(copy.server_store, copy.server_model, local.model)
    return CarriedEngine(local, server)


def _fresh_copy(local: Engine) -> OpenFGACopy | None:
    """How far the store was carried, when the server has this model and all of half a minute ago."""
    copy = OpenFGACopy.objects.filter(store_id=local.store_id, model_id=local.model_id, is_copied=True).first()
    is_fresh = copy is not None and copy.carried_at is not None and clock.now() - copy.carried_at <= FRESH
    return copy if is_fresh else None


@dataclass(frozen=True, slots=True)
class CarriedProvider:
    """The stores of PostgreSQL; the product's own is asked on the server."""

    server: OpenFGAProvider
    name: str = "openfga"

    def open(self, store: str, model_id: str = "") -> Engine | CarriedEngine:
        local = LocalProvider().open(store, model_id)
        copy = _fresh_copy(local)
        if copy is None:
            return local
        return CarriedEngine(local, self.server.engine(copy.server_store, copy.server_model, local.model))

    def save_model(self, store: str, model: Model) -> Engine:
        return LocalProvider().save_model(store, model)

    def models(self, store: str) -> list[SavedModel]:
        return LocalProvider().models(store)

    def remove(self, store: str) -> None:
        LocalProvider().remove(store)

    def health(self) -> Health:
        """Say whether the server answers, and whether what it answers is of now."""
        found = self.server.health()
        if not found.is_healthy:
            return found
        copy = OpenFGACopy.objects.first()
        if copy is None or not copy.is_copied:
            return Health(False, "Not all tuples were carried to the OpenFGA server yet; PostgreSQL answers.")
        if copy.carried_at is None or clock.now() - copy.carried_at > FRESH:
            detail = "Nothing was carried to the OpenFGA server for half a minute; PostgreSQL answers."
            return Health(False, f"{detail} Does a relay run?")
        return Health(True, settings.OPENFGA_URL)
