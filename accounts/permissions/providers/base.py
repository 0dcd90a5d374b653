"""The port to whoever answers questions of permission: one store's tuples, asked by one version of a model.

Both providers speak OpenFGA's language and refuse under OpenFGA's codes (`faults.Refused`). Where they differ:

* lists: ours are complete. A server cuts its own off at a number and at a time and does not say so; then `ListCutOff`.
* writes: ours are all or none, whatever their number. A server takes 100 tuples at a time, so that more are several
  transactions, and a refusal in the middle leaves what came before it.
* what became of a tuple that is written is known from the write itself in ours; from a look before it on a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from accounts.permissions.changes import Changes
from accounts.permissions.expanding import Tree
from accounts.permissions.faults import Refused
from accounts.permissions.language.model import Model, Pair
from accounts.permissions.pages import Page
from accounts.permissions.reading import Stock
from accounts.permissions.tuples import Given, Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome
from core.errors import ProviderRejected


class ListCutOff(ProviderRejected):
    """The server's list may have been cut off. `count` says how many it named; PostgreSQL knows them all."""

    status, code, title = 502, "permission_list_cut_off", "The list was cut off by the OpenFGA server"


class Engine(Protocol):
    """Answers by one model over the tuples of one store. Everything raises Refused for what cannot be asked or
    written; a provider outside of this process raises the errors of `core.outside` besides."""

    @property
    def model(self) -> Model: ...

    def giving(self, given: Sequence[Tuple]) -> Engine:
        """Return an engine that brings these tuples along with every question."""

    def check(
        self, subject: str, relation: str, target: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> bool:
        """Return whether `subject` has `relation` to the object `target`."""

    def check_many(
        self, questions: Sequence[tuple[str, str, str]], given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[bool | Refused]:
        """Answer many checks (subject, relation, object); what one is refused for stands in its place."""

    def list_objects(
        self, subject: str, relation: str, of_type: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        """Return the objects of a type to which `subject` has `relation`."""

    def list_users(
        self, target: str, relation: str, kind: str, given: Given = (), context: Mapping[str, Any] = {}
    ) -> list[str]:
        """Return the subjects of a kind (`user`, `group#member`) that have `relation` to the object `target`."""

    def page_of_objects(
        self,
        subject: str,
        relation: str,
        of_type: str,
        *,
        given: Given = (),
        context: Mapping[str, Any] = {},
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return up to `limit` (1 to 1000) of what `list_objects` returns, behind the id `after`."""

    def page_of_users(
        self,
        target: str,
        relation: str,
        kind: str,
        *,
        given: Given = (),
        context: Mapping[str, Any] = {},
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return up to `limit` of what `list_users` returns, behind the id `after`."""

    def objects_by_relation(
        self,
        subject: str,
        relations: Iterable[Pair],
        given: Given = (),
        context: Mapping[str, Any] = {},
    ) -> dict[Pair, list[str]]:
        """Answer `list_objects` for several relations, each of a type."""

    def expand(self, target: str, relation: str, given: Given = (), context: Mapping[str, Any] = {}) -> Tree:
        """Return what `relation` of the object `target` is made of, one level deep."""

    def write(self, written: Sequence[Tuple], on_duplicate: OnDuplicate = "ignore") -> list[Outcome]:
        """Store tuples; return what became of each, in their order."""

    def delete(self, deleted: Sequence[Tuple], on_missing: OnMissing = "ignore") -> list[Outcome]:
        """Delete tuples; return what became of each, in their order."""

    def read(
        self,
        *,
        object_type: str | None = None,
        object_id: str | None = None,
        relation: str | None = None,
        subject: str | None = None,
        condition: str | None = None,
        limit: int = 100,
        after: str | None = None,
    ) -> Stock:
        """Return stored tuples that match all that is given, `limit` at most, after the cursor `after`."""

    def changes(
        self,
        *,
        of_type: str | None = None,
        after: str | None = None,
        limit: int = 50,
        start_time: datetime | None = None,
    ) -> Changes:
        """Return what changed, the oldest first, after the cursor `after`."""

    def allows(self, one: Tuple) -> bool:
        """Whether the model allows a tuple; one that it does not allow is stale, and ignored."""


@dataclass(frozen=True, slots=True)
class SavedModel:
    """One version of a store's model, as the provider names it."""

    id: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    is_healthy: bool
    detail: str = ""


class Provider(Protocol):
    """Where stores are."""

    @property
    def name(self) -> str: ...

    def open(self, store: str, model_id: str = "") -> Engine:
        """Return the engine of a store by one of its models, the newest unless named. Raises Refused (2001) when there
        is no such store or model."""

    def save_model(self, store: str, model: Model) -> Engine:
        """Keep a model as the newest of a store, which is made when there is none. Raises Faulty."""

    def models(self, store: str) -> list[SavedModel]:
        """Return the versions of a store's model, newest first."""

    def remove(self, store: str) -> None:
        """Remove a store with all that it holds; nothing happens when there is none."""

    def health(self) -> Health:
        """Say whether questions can be asked."""
