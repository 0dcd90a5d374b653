"""New versions of the product's permission model."""

from __future__ import annotations

from uuid import UUID

from accounts import events
from accounts.permissions import conditions, problems
from accounts.permissions.differences import differences
from accounts.permissions.engine import save_model
from accounts.permissions.language import Fault, Faulty, Model, from_json
from accounts.permissions.language.faults import FaultType
from accounts.permissions.language.model import Rewrite, children
from accounts.permissions.models import PermissionModel, PermissionStore
from accounts.permissions.product import STORE, missing
from audit import record
from core.access import require
from core.actor import Actor
from core.commands import command
from core.events import Subject

_MOST_CHANGES = 200  # that an event names
_DEEPEST = 50  # operators in one another


@command("accounts.permission_model.create")
def create(*, actor: Actor, model: Model, pointer: str = "") -> PermissionModel:
    """Make `model` the newest version; questions are answered by it from now on. One that is equal to the newest is
    that one. Writes `accounts.permission_model.created` with what changed. Raises `PermissionModelInvalid`, which
    points at `pointer`, also for a model that lacks what the product itself needs."""
    require(actor, "accounts.permission_model.create")
    with problems.told(pointer):
        found = faults(model)
        if found:
            raise Faulty(found)
        # Two at once come one after the other, so that what is recorded of the second is its change to the first.
        PermissionStore.objects.get_or_create(name=STORE)
        store = PermissionStore.objects.select_for_update().get(name=STORE)
        newest = store.models.order_by("-pk").first()
        before = from_json(newest.document) if newest is not None else Model(model.schema_version, {})
        if newest is not None and before == model:
            return newest
        row = PermissionModel.objects.get(pk=save_model(store, model).model_id)
    changed = [f"{one.change} {one.kind} {one.name}" for one in differences(before, model)]
    record(
        events.PERMISSION_MODEL_CREATED,
        actor=actor,
        subject=Subject("permission_model", UUID(int=row.pk)),
        data={"model": row.public_id, "changes": changed[:_MOST_CHANGES], "change_count": len(changed)},
    )
    return row


def faults(model: Model) -> list[Fault]:
    """Return what keeps a model from becoming the product's: none when it may serve."""
    return [*faults_of_itself(model), *missing(model)]


def faults_of_itself(model: Model) -> list[Fault]:
    """Return what is wrong with a model, whoever uses it."""
    too_deep = [
        Fault(FaultType.SYNTAX, f"'{relation.name}' is nested too deeply.", relation.place, relation.name)
        for definition in model.types.values()
        for relation in definition.relations.values()
        if _is_too_deep(relation.rewrite)
    ]
    # What is too deep is looked at no further: all that does so calls itself for each level.
    return too_deep or conditions.faults_of(model)


def _is_too_deep(rewrite: Rewrite) -> bool:
    level: list[Rewrite] = [rewrite]
    for _ in range(_DEEPEST):
        level = [inner for one in level for inner in children(one)]
        if not level:
            return False
    return True
