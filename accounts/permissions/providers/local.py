"""The embedded default: our engine, inside PostgreSQL."""

from __future__ import annotations

import functools
from datetime import datetime

from accounts.permissions import engine
from accounts.permissions.compiler import compile_model
from accounts.permissions.engine import Engine
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import from_json
from accounts.permissions.language.model import Model
from accounts.permissions.models import PermissionModel, PermissionStore, RelationTuple
from accounts.permissions.providers.base import Health, SavedModel

_KEPT_MODELS = 64


class LocalProvider:
    """Stores in the database that holds the business: tuples are written in the transaction of whoever writes."""

    name = "local"

    def open(self, store: str, model_id: str = "") -> Engine:
        """See the port. One query, two when this process has not met the model yet."""
        found = PermissionModel.objects.filter(store__name=store).order_by("-pk")
        if model_id:
            found = found.filter(pk=model_id) if model_id.isascii() and model_id.isdigit() else found.none()
        row = found.values_list("store_id", "pk", "created_at").first()
        if row is None:
            which = f"model '{model_id}'" if model_id else "model"
            raise Refused(Code.MODEL_NOT_FOUND, f"There is no {which} of the store '{store}'.")
        store_id, number, created_at = row
        return kept(store_id, number, created_at)

    def save_model(self, store: str, model: Model) -> Engine:
        row, _ = PermissionStore.objects.get_or_create(name=store)
        return engine.save_model(row, model)

    def models(self, store: str) -> list[SavedModel]:
        found = PermissionModel.objects.filter(store__name=store).order_by("-pk")
        return [SavedModel(str(number), created_at) for number, created_at in found.values_list("pk", "created_at")]

    def remove(self, store: str) -> None:
        for row in PermissionStore.objects.filter(name=store):
            RelationTuple.objects.filter(store=row).delete()
            row.delete()

    def health(self) -> Health:
        return Health(True, "inside PostgreSQL")


@functools.lru_cache(maxsize=_KEPT_MODELS)
def kept(store_id: int, number: int, created_at: datetime) -> Engine:
    """Return the engine that answers by a version of a model. One is never changed once written, so that a process
    reads and compiles it once (`created_at` tells apart what was rolled back)."""
    model = from_json(PermissionModel.objects.values_list("document", flat=True).get(pk=number))
    return Engine(store_id, number, model, compile_model(model))
