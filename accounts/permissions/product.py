"""The product's own model: one module for each app (`fga.mod`, `<app>/model.fga`), and who and what in it are ours.

A company may add types and relations of its own to it; what the product ships stays as it ships it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import models, transaction

from accounts.permissions.compiled import compile_into
from accounts.permissions.engine import save_model
from accounts.permissions.language import Fault, Model, check, combine, from_json
from accounts.permissions.language.faults import FaultType
from accounts.permissions.language.model import (
    Computed,
    Exclusion,
    FromTupleset,
    Intersection,
    Relation,
    Rewrite,
    TypeDefinition,
    children,
)
from accounts.permissions.language.modules import MANIFEST, files_of
from accounts.permissions.models import PermissionModel, PermissionStore
from accounts.permissions.tuples import Object, Subject, Tuple
from core.actor import Actor, ActorType

STORE: Final = "countinghouse"
COMPANY: Final = "company:this"
ORGANIZATION: Final = "organization"
_SUBJECTS: Final = {
    ActorType.USER: "user",
    ActorType.STAFF: "user",
    ActorType.API_KEY: "api_key",
    ActorType.SERVICE_ACCOUNT: "service_account",
}
_CAPITAL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


# the model


@cache
def shipped() -> Model:
    """Return the model that this version of the product needs. Raises Faulty, which no released version does."""
    root = Path(settings.BASE_DIR)
    version, names = files_of((root / MANIFEST).read_text())
    return combine({name: (root / name).read_text() for name in names}, version)


def sync() -> PermissionModel:
    """Make the newest model of the product's store the one that this version needs, with what the company added to the
    last one, and compile anew what an earlier version compiled otherwise. Called after each migration; safe to repeat,
    also at the same moment."""
    with transaction.atomic():
        PermissionStore.objects.get_or_create(name=STORE)
        store = PermissionStore.objects.select_for_update().get(name=STORE)
        newest = store.models.order_by("-pk").first()
        known = from_json(newest.document) if newest is not None else None
        wanted = shipped() if known is None else _with_additions(known)
        if newest is None or known != wanted:
            newest = PermissionModel.objects.get(pk=save_model(store, wanted).model_id)
        for row in PermissionModel.objects.select_for_update().order_by("pk"):
            compile_into(row)
    return newest


def missing(model: Model) -> list[Fault]:
    """Return what the product needs and `model` lacks or defines otherwise: one fault each, none when it may serve."""
    faults = []
    for name, definition in shipped().types.items():
        known = model.types.get(name)
        if known is None:
            faults.append(Fault(FaultType.NEEDED, f"The product needs the type '{name}'.", symbol=name))
            continue
        for relation in definition.relations.values():
            if known.relations.get(relation.name) != relation:
                message = f"The product needs '{name}#{relation.name}' as it ships it."
                place = known.relations[relation.name].place if relation.name in known.relations else known.place
                faults.append(Fault(FaultType.NEEDED, message, place, relation.name))
    return faults


def _with_additions(known: Model) -> Model:
    """The shipped model with the types, relations and conditions of `known` that are the company's own. What names no
    module may be the company's, or of an earlier version of the product: it stays as long as the model is sound."""
    found = _joined(known, is_strict=False)
    return _joined(known, is_strict=True) if check(found) else found


def _joined(known: Model, *, is_strict: bool) -> Model:
    ours = shipped()
    modules = {definition.module for definition in ours.types.values()}
    types = dict(ours.types)
    for name, definition in known.types.items():
        added: Mapping[str, Relation] = {
            key: relation
            for key, relation in definition.relations.items()
            if (relation.module or (definition.module if is_strict else "")) not in modules
        }
        if name in ours.types:
            types[name] = replace(ours.types[name], relations={**added, **ours.types[name].relations})
        elif definition.module not in modules:
            types[name] = TypeDefinition(name, definition.relations, module=definition.module)
    return replace(ours, types=types, conditions={**known.conditions, **ours.conditions})


def from_organization(model: Model, kind: str, relation: str) -> set[str]:
    """Return the relations to a thing's organisation of which every holder has `relation` to the thing. Raises
    `LookupError` where the model has no such relation, or where `and` or `but not` stands over what it takes."""
    found: set[str] = set()
    seen: set[tuple[str, bool]] = set()
    waiting: list[tuple[Rewrite, bool]] = [(Computed(relation), False)]
    while waiting:
        rewrite, is_bounded = waiting.pop()
        is_bounded |= isinstance(rewrite, Intersection | Exclusion)
        if isinstance(rewrite, Computed) and (rewrite.relation, is_bounded) not in seen:
            seen.add((rewrite.relation, is_bounded))
            definition = model.relation(kind, rewrite.relation)
            if definition is None:
                raise LookupError(f"The permission model has no relation '{rewrite.relation}' of '{kind}'.")
            waiting.append((definition.rewrite, is_bounded))
        elif isinstance(rewrite, FromTupleset) and rewrite.tupleset == ORGANIZATION:
            if is_bounded:
                raise LookupError(
                    f"Rows cannot be listed by '{relation}' of '{kind}': 'and' or 'but not' stands over '{rewrite}'."
                )
            found.add(rewrite.relation)
        waiting += [(child, is_bounded) for child in children(rewrite)]
    return found


# who and what


def subject_of(actor: Actor) -> str | None:
    """Return as whom an actor stands in tuples, None for one that stands in none."""
    kind = _SUBJECTS.get(actor.type)
    return f"{kind}:{actor.id}" if kind and actor.id is not None else None


def type_of(model: type[models.Model]) -> str:
    """Return the name of a table's rows in models and permissions: `payment_method`."""
    return _CAPITAL.sub("_", model._meta.object_name or "").lower()


def object_of(row: models.Model) -> str:
    """Return a row as it stands in tuples: `invoice:0190…`."""
    return f"{type_of(type(row))}:{row.pk}"


def organization_of(row: Any) -> UUID | None:
    """Return the id of the organisation to which a row belongs, by its model's `organization_path`."""
    path = getattr(row, "organization_path", None)
    if path is None:
        return None
    value = row
    for part in path.split("__"):
        value = getattr(value, part, None)
        if value is None:
            return None
    return value if isinstance(value, UUID) else None


def given_of(row: models.Model) -> tuple[Tuple, ...]:
    """Return what a row says by itself and is therefore stored in no tuple: the organisation to which it belongs."""
    kind, organization_id = type_of(type(row)), organization_of(row)
    if organization_id is None or kind == ORGANIZATION or shipped().relation(kind, ORGANIZATION) is None:
        return ()
    return (Tuple(Object(kind, str(row.pk)), ORGANIZATION, Subject(ORGANIZATION, str(organization_id))),)


def given_of_person(user_id: UUID) -> tuple[Tuple, ...]:
    """Return that a person is who they are: what is their own hangs on it."""
    return (Tuple(Object("user", str(user_id)), "oneself", Subject("user", str(user_id))),)


def given_of_staff(actor: Actor) -> tuple[Tuple, ...]:
    """Return what Django knows of a staff member: their groups, or that nothing bounds them."""
    person, company = Subject("user", str(actor.id)), Object.parse(COMPANY)
    if actor.staff_groups is None:
        return (Tuple(company, "administrator", person),)
    groups = (Tuple(Object("staff_group", str(group)), "member", person) for group in sorted(actor.staff_groups))
    return (Tuple(company, "staff", person), *groups)
