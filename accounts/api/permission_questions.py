"""What every question over HTTP has in common: the engine, who is asked about, and what is brought along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from accounts.api.permission_input import check_question, read_tuple, read_tuples
from accounts.permissions import PERMISSION_ASK, names, problems, providers, tuples
from accounts.permissions.engine import Engine
from accounts.permissions.faults import Code, Refused
from accounts.permissions.known import given_about, given_towards
from accounts.permissions.models import PermissionModel
from accounts.permissions.product import STORE, subject_of
from accounts.permissions.providers.base import Provider
from accounts.permissions.providers.local import LocalProvider
from accounts.permissions.tuples import Object, Tuple
from core import ids
from core.access import allows, require
from core.actor import Actor
from core.api.views import APIView
from core.errors import Forbidden, InvalidInput

_LARGEST = 2**63 - 1


def engine(model_id: UUID | None = None, pointer: str = "/model_id", *, is_of_now: bool = False) -> Engine:
    """Return the engine that answers: by the product's newest model, or by an older one. `is_of_now` passes by whatever
    may lag behind PostgreSQL. Raises the error 404 for a model that there is not."""
    with problems.told(pointer):
        chosen = LocalProvider() if is_of_now or model_id is not None else providers.get()
        found: Any = _opened(chosen, model_id)
        return cast("Engine", found)  # the copy on a server has all that the engine here has


def _opened(chosen: Provider, model_id: UUID | None) -> Any:
    if model_id is None:
        return chosen.open(STORE)
    try:
        return chosen.open(STORE, str(min(model_id.int, _LARGEST)))
    except Refused as refused:
        # The model goes by the id that the request gave it.
        message = f"There is no permission model '{ids.encode(PermissionModel.id_prefix, model_id)}'."
        raise Refused(refused.code, message) from refused


@dataclass(frozen=True, slots=True)
class Asked:
    """One request with questions: the engine that answers them and what holds for all of them."""

    actor: Actor
    is_about_anybody: bool  # whether who asks may; asked once, however many questions follow
    engine: Engine
    brought: Mapping[str, Any]  # given and context, as the engine's methods take them

    def brought_about(self, *questions: Tuple) -> Mapping[str, Any]:
        """Return what is brought along for some questions: what the body says, and what rows say by themselves."""
        named = ((str(one.subject), str(one.object)) for one in questions)
        return self._with(given_about(self.engine.model, *named))

    def brought_towards(self, target: Object) -> Mapping[str, Any]:
        """Return what is brought along for a question about whoever has a relation to an object."""
        return self._with(given_towards(self.engine.model, str(target)))

    def _with(self, known: Sequence[Tuple]) -> Mapping[str, Any]:
        given: Sequence[Tuple] = self.brought["given"]
        return {**self.brought, "given": [*given, *(one for one in known if one not in given)]}

    def about(self, document: Mapping[str, Any], pointer: str = "") -> Tuple:
        """Read one question of the body (user, relation, object). Raises `Forbidden` for somebody else than who asks,
        unless they may ask about anybody; Refused for what the model does not know."""
        subject, own = document.get("user"), subject_of(self.actor)
        if not self.is_about_anybody:
            if subject is not None and names.inward(names.typed(self.engine.model, subject)) != own:
                raise _about_others(f"{pointer}/user")
            subject = own
        whole = {"user": subject, "relation": document.get("relation"), "object": document.get("object")}
        asked = read_tuple(self.engine.model, whole, Code.VALIDATION)
        check_question(self.engine.model, asked)
        return asked


class QuestionView(APIView):
    """A route that asks the engine. `is_for_staff`: nobody else asks this at all."""

    tag = "permissions"
    is_for_staff = False

    def asked(self, data: Mapping[str, Any]) -> Asked:
        """Return what the body brings along for every question in it. Raises `Forbidden` for what only staff may."""
        actor = self.request.actor
        if self.is_for_staff:
            require(actor, PERMISSION_ASK.name)
        is_about_anybody = allows(actor, PERMISSION_ASK.name)
        if not is_about_anybody:
            for member in ("contextual_tuples", "model_id"):
                if member in data:
                    # Tuples made up by who asks would tell what others hold.
                    raise Forbidden(f"'{member}' is for staff.", permission=PERMISSION_ASK.name)
        found = engine(data.get("model_id"), is_of_now=data["consistency"] == "higher")
        given = read_tuples(
            found.model, data.get("contextual_tuples", ()), "/contextual_tuples", Code.INVALID_TUPLE, _check_given
        )
        return Asked(actor, is_about_anybody, found, {"given": given, "context": data.get("context", {})})


def _check_given(model: Any, one: Tuple) -> None:
    tuples.check(model, one, Code.INVALID_TUPLE)


def _about_others(pointer: str) -> Forbidden:
    error = Forbidden("You may ask about yourself: leave 'user' out.", permission=PERMISSION_ASK.name)
    error.faults = InvalidInput.at(pointer, "This is somebody else.", "not_yourself").faults
    return error
