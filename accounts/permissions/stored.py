"""Models as they are kept, each compiled once for each process."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from accounts.permissions.compiler import compile_model
from accounts.permissions.engine import Engine
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Model, from_json
from accounts.permissions.models import PermissionModel

STORE = "countinghouse"  # the store of the product itself


def engine_of(store: str = STORE, model_id: int | None = None) -> Engine:
    """Return the engine that answers by a store's newest model, or by the one with an id. One query; a model that was
    not met before in this process takes two. Raises Refused (2001)."""
    rows = PermissionModel.objects.filter(store__name=store).order_by("-pk")
    if model_id is not None:
        rows = rows.filter(pk=model_id)
    found = rows.values_list("pk", "store_id", "created_at").first()
    if found is None:
        raise Refused(Code.MODEL_NOT_FOUND, f"There is no such permission model in the store '{store}'.")
    return _compiled(*found)


@lru_cache(maxsize=32)
def _compiled(model_id: int, store_id: int, created_at: datetime) -> Engine:
    """A model never changes; `created_at` tells it from one of another database under the same number."""
    model = model_of(PermissionModel.objects.get(pk=model_id))
    return Engine(store_id, model_id, model, compile_model(model))


def model_of(row: PermissionModel) -> Model:
    """Return a model as it was saved, its relations in their order: PostgreSQL keeps JSON without one, and nodes are
    numbered in it."""
    model = from_json(row.document)
    types = {}
    for definition in model.types.values():
        order = row.nodes.get(definition.name, {})
        relations = sorted(definition.relations.items(), key=lambda item: order[item[0]])
        types[definition.name] = replace(definition, relations=dict(relations))
    return replace(model, types=types)
