"""An OpenFGA server: stores of its own, asked over HTTP (`openfga_http` sends, `openfga_engine` asks)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from accounts.permissions import conditions
from accounts.permissions.faults import Code, Refused
from accounts.permissions.language import Faulty, from_json, to_json
from accounts.permissions.language.model import Model
from accounts.permissions.providers.base import Health, SavedModel
from accounts.permissions.providers.openfga_engine import ServerEngine
from accounts.permissions.providers.openfga_http import Address, Server, member, no_openfga
from core.errors import AppError

_ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


@dataclass(frozen=True, slots=True)
class OpenFGAProvider:
    """Stores of a server, by their names. The product's own store is OPENFGA_STORE there."""

    server: Server
    name: str = "openfga"

    @classmethod
    def of_settings(cls, timeout: float = 0.0) -> OpenFGAProvider:
        """Return the server that is set; see `Address.of_settings`."""
        return cls(Server(Address.of_settings(timeout)))

    def open(self, store: str, model_id: str = "") -> ServerEngine:
        store_id = self.store_id(store)
        found = self._read(store_id, model_id) if model_id and store_id else self.newest(store_id)
        if found is None:
            raise Refused(Code.MODEL_NOT_FOUND, f"There is no such model of the store '{store}'.")
        return found

    def newest(self, store_id: str) -> ServerEngine | None:
        """Return the engine of a store, named by its id, by its newest model."""
        page = (
            self.server.get("read_models", f"/stores/{store_id}/authorization-models", page_size=1) if store_id else {}
        )
        saved = member(page, "authorization_models", list) if page else []
        return self.engine(store_id, member(saved[0], "id", str), from_json(saved[0])) if saved else None

    def engine(self, store_id: str, model_id: str, model: Model) -> ServerEngine:
        """Return the engine of a store by a model of which both ids are known; nothing is asked."""
        return ServerEngine(self.server, store_id, model_id, model)

    def _read(self, store_id: str, model_id: str) -> ServerEngine | None:
        if not _ID.fullmatch(model_id):
            return None
        path = f"/stores/{store_id}/authorization-models/{model_id}"
        document = member(self.server.get("read_model", path), "authorization_model", dict)
        return self.engine(store_id, model_id, from_json(document))

    def save_model(self, store: str, model: Model) -> ServerEngine:
        faults = conditions.faults_of(model)
        if faults:
            raise Faulty(faults)
        return self.add_model(self.store_id(store) or self.make(store), model)

    def add_model(self, store_id: str, model: Model) -> ServerEngine:
        """Keep a model, in which no fault was found, as the newest of a store. Raises Refused (2056)."""
        path = f"/stores/{store_id}/authorization-models"
        made = self.server.post("write_model", path, to_json(model), is_repeatable=False)
        return self.engine(store_id, member(made, "authorization_model_id", str), model)

    def models(self, store: str) -> list[SavedModel]:
        store_id = self.store_id(store)
        found: list[SavedModel] = []
        token = ""
        while store_id:
            query = {"page_size": 50} | ({"continuation_token": token} if token else {})
            page = self.server.get("read_models", f"/stores/{store_id}/authorization-models", **query)
            found += [SavedModel(member(one, "id", str), None) for one in member(page, "authorization_models", list)]
            token = str(page.get("continuation_token") or "")
            if not token:
                break
        return found

    def remove(self, store: str) -> None:
        store_id = self.store_id(store)
        if store_id:
            self.server.delete("delete_store", f"/stores/{store_id}")

    def store_id(self, store: str) -> str:
        """Return the id of a store by its name (the oldest, when several have it) or its id; "" when there is none.
        Raises ProviderMisconfigured for an id that the server does not know."""
        if _ID.fullmatch(store):
            return str(member(self.server.get("get_store", f"/stores/{store}"), "id", str))
        answer = self.server.get("list_stores", "/stores", name=store, page_size=50)
        if "stores" not in answer:
            raise no_openfga()
        found = member(answer, "stores", list)
        named = [(member(one, "created_at", str), member(one, "id", str)) for one in found if one.get("name") == store]
        return min(named)[1] if named else ""

    def make(self, store: str) -> str:
        """Make a store and return its id."""
        return str(member(self.server.post("make_store", "/stores", {"name": store}, is_repeatable=False), "id", str))

    def health(self) -> Health:
        """Look the product's store up: by that an address is known that is another's."""
        try:
            self.store_id(settings.OPENFGA_STORE)
        except Refused as refused:
            return Health(False, f"OPENFGA_STORE: {refused}")
        except AppError as error:
            return Health(False, error.detail)
        return Health(True, settings.OPENFGA_URL)
