"""Permission models over HTTP, for staff: versions, what is wrong with one, what another one changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiExample

from accounts.api import permission_model_serializers as s
from accounts.api.permission_model_input import ModelInput, read_model
from accounts.api.permission_questions import engine
from accounts.errors import PermissionModelInvalid, PermissionModelNotFound
from accounts.permissions import PERMISSION_MODEL_CREATE, PERMISSION_MODEL_VIEW, problems
from accounts.permissions.differences import Affected, differences, stale_tuples
from accounts.permissions.faults import Code
from accounts.permissions.language import Fault, Faulty, Model, from_json, to_dsl
from accounts.permissions.models import PermissionModel
from accounts.permissions.product import STORE
from accounts.services import permission_models
from core import ids
from core.access import require
from core.api.operations import operation
from core.api.pagination import CursorPage
from core.api.requests import Request
from core.api.views import APIView
from core.errors import InvalidInput

_EXAMPLE = OpenApiExample(
    "A small model",
    {"text": "model\n  schema 1.1\n\ntype user\n\ntype document\n  relations\n    define viewer: [user]\n"},
    request_only=True,
)


class ModelListView(APIView):
    tag = "permissions"

    @operation(
        query=s.ModelQuery,
        response=s.ModelPage,
        operation_id="permissions_models_list",
        summary="List the versions of the permission model",
    )
    def get(self, request: Request) -> dict[str, Any]:
        """The newest, by which questions are answered, comes first."""
        require(request.actor, PERMISSION_MODEL_VIEW.name)
        rows = PermissionModel.objects.filter(store__name=STORE).only("id", "created_at")
        page = CursorPage().page(rows, request._request, ("-id",))
        return page.document([{"id": UUID(int=row.pk), "created_at": row.created_at} for row in page.rows])

    @operation(
        request=ModelInput,
        response=s.ModelSerializer,
        status=201,
        errors=(PermissionModelInvalid,),
        examples=[_EXAMPLE],
        operation_id="permissions_models_create",
        summary="Make a new version of the permission model",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """Questions are answered by it at once. One that is equal to the newest makes no new version; one without what
        the product itself needs is refused."""
        require(request.actor, PERMISSION_MODEL_CREATE.name)
        data = self.input()
        with problems.told("/" + next(iter(data), "text")):
            model, pointer = read_model(data)
        return _shown(permission_models.create(actor=request.actor, model=model, pointer=pointer))


class ModelView(APIView):
    tag = "permissions"
    queryset = PermissionModel.objects.none()  # says whose ids stand in the address

    @operation(
        query=s.ShowQuery,
        response=s.ModelSerializer,
        errors=(PermissionModelNotFound,),
        operation_id="permissions_models_retrieve",
        summary="Read one version of the permission model",
    )
    def get(self, request: Request, **kwargs: Any) -> dict[str, Any]:
        """As OpenFGA's JSON and in its language; what only JSON can say has no text."""
        require(request.actor, PERMISSION_MODEL_VIEW.name)
        shown = _shown(_row(self.kwargs["id"]))
        hidden = {"json": "text", "dsl": "document"}.get(self.query()["show"])
        return {**shown, hidden: None} if hidden else shown


class ModelValidateView(APIView):
    tag = "permissions"

    @operation(
        request=ModelInput,
        response=s.ValidateReply,
        idempotency="exempt",
        examples=[_EXAMPLE],
        summary="Say what is wrong with a permission model",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """Every fault with its place; nothing is kept."""
        require(request.actor, PERMISSION_MODEL_VIEW.name)
        try:
            found: tuple[Fault, ...] = tuple(permission_models.faults(read_model(self.input())[0]))
        except Faulty as faulty:
            found = faulty.faults
        return {"is_valid": not found, "faults": list(map(problems.document_of, found))}


class ModelDiffView(APIView):
    tag = "permissions"

    @operation(
        request=s.DiffInput,
        response=s.DiffReply,
        idempotency="exempt",
        errors=(PermissionModelInvalid, PermissionModelNotFound),
        summary="Say what another permission model changes",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """Types, relations and conditions that are added, removed or changed, and the stored tuples that would be
        ignored (or read again)."""
        require(request.actor, PERMISSION_MODEL_VIEW.name)
        data = self.input()
        before = _named(data.get("before", {}), "/before", is_newest_default=True)
        after = _named(data["after"], "/after")
        stale = stale_tuples(engine().store_id, before, after)
        return {
            "differences": differences(before, after),
            "tuples_lost": _counted(stale.lost),
            "tuples_regained": _counted(stale.regained),
        }


def _named(data: Mapping[str, Any], pointer: str, *, is_newest_default: bool = False) -> Model:
    """Return the model that a body names or brings along."""
    if "model_id" in data and len(data) == 1:
        return engine(data["model_id"], f"{pointer}/model_id").model
    if not data and is_newest_default:
        return engine().model
    if not data or "model_id" in data:
        raise InvalidInput.at(pointer, "Send one of 'model_id', 'text', 'document' and 'modules'.", "choose_one")
    with problems.told(f"{pointer}/{next(iter(data), 'text')}"):
        model, _ = read_model(data, pointer)
        found = permission_models.faults_of_itself(model)
        if found:
            raise Faulty(found)
    return model


def _counted(kinds: tuple[Affected, ...]) -> dict[str, Any]:
    return {"count": sum(kind.count for kind in kinds), "kinds": list(kinds)}


def _row(public_id: str) -> PermissionModel:
    try:
        number: UUID = ids.decode(PermissionModel.id_prefix, public_id)
        return PermissionModel.objects.get(store__name=STORE, pk=min(number.int, 2**63 - 1))
    except (ids.MalformedId, PermissionModel.DoesNotExist):
        raise PermissionModelNotFound(openfga_code=int(Code.MODEL_NOT_FOUND)) from None


def _shown(row: PermissionModel) -> dict[str, Any]:
    try:
        text: str | None = to_dsl(from_json(row.document))
    except ValueError:
        text = None
    return {"id": UUID(int=row.pk), "created_at": row.created_at, "document": row.document, "text": text}
