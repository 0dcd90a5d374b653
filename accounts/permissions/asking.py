"""The product's own permissions: every question and every tuple of the store `countinghouse`, by its newest model.

permissions.check("user:0190…", "billing.invoice.view", "organization:0190…")
permissions.grant("user:0190…", "viewer", "invoice:0190…")
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TypeAlias, cast

from django.conf import settings

from accounts.permissions import cache, providers, revision
from accounts.permissions.engine import Engine
from accounts.permissions.expanding import Tree
from accounts.permissions.explanations import Explanation
from accounts.permissions.faults import Refused
from accounts.permissions.known import given_about
from accounts.permissions.language.model import Model, Pair
from accounts.permissions.models import PermissionModel
from accounts.permissions.product import STORE
from accounts.permissions.providers.local import kept
from accounts.permissions.tuples import Given, Object, Subject, Tuple
from accounts.permissions.writes import OnDuplicate, OnMissing, Outcome

Consistency: TypeAlias = Literal["default", "higher"]


def engine() -> Engine:
    """Return the engine of the product's store by its newest model: PostgreSQL's, or the one beside which an OpenFGA
    server is asked (PERMISSIONS_PROVIDER), which has all that PostgreSQL's has."""
    if settings.PERMISSIONS_PROVIDER == providers.OPENFGA:
        from accounts.permissions.providers import carried

        return cast("Engine", carried.beside(engine_of_now()))
    return engine_of_now()


def engine_of_now() -> Engine:
    """Return PostgreSQL's engine of the product's store, whoever is chosen to answer: what it says is of now. It alone
    can compare, and explain."""
    newest = revision.newest_model_id(STORE)
    assert newest is not None, "the product's permission model is missing: run `manage.py migrate`"
    return _by_model(newest)


def model() -> Model:
    """Return the model by which the product's questions are answered now."""
    return engine_of_now().model


@lru_cache(maxsize=32)
def _by_model(model_id: int) -> Engine:
    return engine_of(PermissionModel.objects.defer("document").get(pk=model_id))


def engine_of(row: PermissionModel) -> Engine:
    """Return an engine that answers by one version of a model."""
    return kept(row.store_id, row.pk, row.created_at)


def forget() -> None:
    """Forget what this process knows: a new test, whose models may have the numbers of others."""
    _by_model.cache_clear()
    cache.forget()


# questions


def check(
    subject: str,
    relation: str,
    target: str,
    *,
    given: Given = (),
    context: Mapping[str, Any] = {},
    consistency: Consistency = "default",
) -> bool:
    """Return whether `subject` has `relation` to `target`: as it stood at most a second ago or, with "higher", as it
    stands. What this process wrote it knows at once. What rows say by themselves (to which organisation an invoice
    belongs) is brought along as `given`, see `known.given_about`. Raises what `Engine.check` raises."""
    if consistency == "higher":
        return engine_of_now().check(subject, relation, target, given, context)
    return cache.checked(engine(), subject, relation, target, given, context)


def check_many(
    questions: Sequence[tuple[str, str, str]], *, given: Given = (), context: Mapping[str, Any] = {}
) -> list[bool | Refused]:
    """Answer many checks in their order; see `check` and `Engine.check_many`."""
    return cache.checked_many(engine(), questions, given, context)


def list_objects(
    subject: str, relation: str, of_type: str, *, given: Given = (), context: Mapping[str, Any] = {}
) -> tuple[str, ...]:
    """Return every object of a type to which `subject` has `relation`; see `check` and `Engine.list_objects`."""
    return cache.objects(engine(), subject, relation, of_type, given, context)


def objects_by_relation(subject: str, relations: Collection[Pair]) -> dict[Pair, tuple[str, ...]]:
    """Return, for each of several relations, of whatever types, every object to which `subject` has it: one query at
    most, two where conditions can be met."""
    return cache.objects_by_relation(engine(), subject, relations)


def list_users(
    target: str, relation: str, kind: str = "user", *, given: Given = (), context: Mapping[str, Any] = {}
) -> list[str]:
    """Return every subject of a kind that has `relation` to `target`; see `Engine.list_users`."""
    return engine().list_users(target, relation, kind, given, context)


def expand(target: str, relation: str) -> Tree:
    """Return what `relation` of `target` is made of, one level deep; see `Engine.expand`."""
    return engine().expand(target, relation)


def explain(
    subject: str, relation: str, target: str, *, given: Given = (), context: Mapping[str, Any] = {}
) -> Explanation:
    """Return why `subject` has `relation` to `target`, or why not; see `Engine.explain`. Of the product's own things it
    also brings along what their rows say by themselves."""
    asked = engine_of_now()
    brought = [*given_about(asked.model, (subject, target)), *given]
    return asked.explain(subject, relation, target, brought, context)


# tuples, in the transaction of whoever calls


def write(written: Sequence[Tuple], *, on_duplicate: OnDuplicate = "ignore") -> list[Outcome]:
    """Store tuples, all or none; see `writes.write`."""
    return engine().write(written, on_duplicate)


def delete(deleted: Sequence[Tuple], *, on_missing: OnMissing = "ignore") -> list[Outcome]:
    """Delete tuples, all or none; see `writes.delete`."""
    return engine().delete(deleted, on_missing)


def grant(subject: str, relation: str, target: str) -> Outcome:
    """Give `subject` a relation to an object: `created`, or `unchanged` when it had it."""
    return write([Tuple(Object.parse(target), relation, Subject.parse(subject))])[0]


def revoke(subject: str, relation: str, target: str) -> Outcome:
    """Take a relation that was given: `removed`, or `missing` when there was none."""
    return delete([Tuple(Object.parse(target), relation, Subject.parse(subject))])[0]
