"""The OpenAPI schema: names that stay, the problems that each operation can answer, the headers that it reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.openapi import AutoSchema

from core import errors
from core.api import operations
from core.api.operations import Idempotency, Operation
from core.api.replies import PROBLEM_JSON
from core.api.schema_fields import id_schema, shared
from core.api.views import APIView
from core.errors import AppError
from core.models import entities_by_type

PROBLEM = {"$ref": "#/components/schemas/Problem"}

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `code` never changes; further members depend on it.",
    "required": ["type", "title", "status", "detail", "instance", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "For people; its words may change."},
        "instance": {"type": "string", "format": "uri-reference"},
        "code": {"type": "string", "description": "For programs."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "A JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.",
                    },
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
    "additionalProperties": True,
}

SECURITY_SCHEMES: dict[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, or an API key."},
}

_TEXTS = {
    400: "The input is not valid.",
    401: "Nobody is signed in.",
    402: "The provider or the plan refuses.",
    403: "Not allowed.",
    404: "There is no such thing, or it may not be seen.",
    405: "The method is not allowed here.",
    406: "Only JSON is answered.",
    409: "The present state forbids it.",
    412: "It changed meanwhile.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A rule forbids it, or the idempotency key belongs to another request.",
    428: "An idempotency key is required.",
    429: "Too many requests.",
    500: "A fault of ours.",
    502: "A provider answered in an unknown shape.",
    503: "Not available just now.",
}


_VERBS = {"partial_update": "update", "destroy": "delete"}


class Schema(AutoSchema):
    """How an operation of ours is described."""

    def get_tags(self) -> list[str]:
        tag = getattr(self.view, "tag", None)
        return [tag or type(self.view).__module__.partition(".")[0]]

    def get_operation_id(self) -> str:
        """`subscriptions_list`, `subscriptions_cancel`, `auth_login`: the path's words and what is done."""
        words = [part for part in self.path.removeprefix("/api/v1").split("/") if part and not part.startswith("{")]
        words = [word.replace("-", "_").replace(".", "_") for word in words]
        action = getattr(self.view, "action", None)
        if action:
            handler = getattr(self.view, action)
            own_path = str(getattr(handler, "url_path", "") or "").split("/")
            is_own = bool(getattr(handler, "mapping", None))
            return "_".join([*(words[: -len(own_path)] if is_own else words), _VERBS.get(action, action)])
        verb = {"GET": "list" if self._is_list_view() else "retrieve", "PATCH": "update", "DELETE": "delete"}
        return "_".join([*words, *filter(None, [verb.get(self.method)])])

    def get_auth(self) -> list[dict[str, Any]]:
        return [{}] if self._is_public() else [{name: []} for name in SECURITY_SCHEMES]

    def _get_parameters(self) -> list[dict[str, Any]]:
        found = [*super()._get_parameters(), *self._header_parameters()]
        for parameter in found:
            if parameter["in"] == "path":
                prefix = self._prefix_of(parameter["name"])
                parameter["schema"] = id_schema(prefix) if prefix else parameter["schema"]
            elif parameter["in"] == "query":
                self._describe_filter(parameter)
        return found

    def _prefix_of(self, name: str) -> str:
        """Return the id prefix of a part of the address: `id` is the view's kind, `customer_id` a customer."""
        if name == "id":
            return getattr(getattr(getattr(self.view, "queryset", None), "model", None), "id_prefix", "")
        kind = entities_by_type.get(name.removesuffix("_id").replace("_", ""))
        return kind.id_prefix if kind else ""

    def _describe_filter(self, parameter: dict[str, Any]) -> None:
        """An empty value is refused, and an id has the shape of its kind."""
        filters = getattr(getattr(self.view, "filterset_class", None), "base_filters", {})
        prefix = getattr(filters.get(parameter["name"]), "prefix", "")
        if prefix:
            parameter["schema"] = id_schema(prefix)
        elif parameter["schema"].get("type") == "string" and "enum" not in parameter["schema"]:
            parameter["schema"].setdefault("minLength", 1)
            pattern = getattr(filters.get(parameter["name"]), "pattern", "")
            if pattern:
                parameter["schema"]["pattern"] = pattern
            longest = getattr(filters.get(parameter["name"]), "extra", {}).get("max_length")
            if longest:
                parameter["schema"].setdefault("maxLength", longest)

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        if isinstance(self.view, APIView):
            for status, found in sorted(self._problems().items()):
                codes = ", ".join(f"`{code}`" for code in sorted({error.code for error in found}))
                bodies.setdefault(
                    str(status),
                    {
                        "description": f"{_TEXTS.get(status, 'A problem.')} Codes: {codes}.",
                        "content": {PROBLEM_JSON: {"schema": PROBLEM}},
                    },
                )
            if getattr(self.view, "action", None) == "retrieve":
                bodies["304"] = {"description": "It is still what `If-None-Match` names."}
        return bodies

    def _declared(self) -> Operation:
        name = getattr(self.view, "action", None) or self.method.lower()
        return operations.of(getattr(self.view, name, None))

    def _is_public(self) -> bool:
        return bool(getattr(self.view, "is_public", False)) or self._declared().is_public

    def _problems(self) -> dict[int, list[type[AppError]]]:
        found: dict[int, list[type[AppError]]] = {}
        for error in self._possible_errors():
            found.setdefault(error.status, []).append(error)
        return found

    def _possible_errors(self) -> Iterable[type[AppError]]:
        declared = self._declared()
        yield from (errors.InvalidInput, errors.NotAcceptable, errors.LimitReached, errors.AppError, errors.Unavailable)
        yield from (errors.Unauthenticated, errors.Forbidden)
        if "{" in self.path or not self._is_public():
            yield errors.NotFound  # also for an organisation that X-Organization names
        if self.method in ("POST", "PATCH", "PUT"):
            yield from (errors.TooLarge, errors.UnsupportedMediaType, errors.RuleBroken, errors.Conflict)
        if "{" in self.path and self.method != "GET":
            yield from (errors.StaleVersion, errors.InvalidTransition)
        if self.method == "POST" and declared.idempotency is not Idempotency.EXEMPT:
            yield from (errors.RequestInProgress, errors.IdempotencyReused)
            if declared.has_secret:
                yield errors.ReplyNotKept
            if declared.is_key_required:
                yield errors.IdempotencyKeyRequired
        yield from declared.errors

    def _header_parameters(self) -> Iterable[dict[str, Any]]:
        declared = self._declared()
        if self.method == "POST" and declared.idempotency is not Idempotency.EXEMPT:
            yield _header(
                "Idempotency-Key",
                "Sent again with the same key and body, the request happens once and is answered alike for 24 hours.",
                is_required=declared.is_key_required,
                pattern="^[!-~]{1,255}$",
            )
        if not self._is_public():
            yield _header(
                "X-Organization",
                "For which organisation; not needed with one membership or an API key.",
                pattern="^org_[0-7][0-9a-hjkmnp-tv-z]{25}$",
            )
        if getattr(self.view, "action", None) == "retrieve":
            yield _header("If-None-Match", "Answer 304 when the row still has this ETag.")
        elif "{" in self.path and self.method in ("PATCH", "PUT", "POST", "DELETE"):
            yield _header("If-Match", "Refuse (412) unless the row still has this ETag.")


def _header(name: str, text: str, *, is_required: bool = False, pattern: str = "") -> dict[str, Any]:
    schema = {"type": "string", **({"pattern": pattern} if pattern else {})}
    return {"name": name, "in": "header", "required": is_required, "description": text, "schema": schema}


def finish(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add what all operations share; close the bodies (unknown members are refused) and bound the integers."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = PROBLEM_SCHEMA
    schemas.update(shared())
    components.setdefault("securitySchemes", {}).update(SECURITY_SCHEMES)
    bodies = _body_schemas(result, schemas)
    for name, schema in schemas.items():
        if name not in bodies:
            _loosen(schema)
        elif schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
            for member in schema["properties"].values():
                _bound(member)
    return result


def _loosen(schema: dict[str, Any]) -> None:
    """What is shown may be blank where what is taken may not: a format holds for bodies only."""
    for member in schema.get("properties", {}).values():
        if member.get("format") in ("email", "uri"):
            del member["format"]


def _bound(schema: dict[str, Any]) -> None:
    if schema.get("type") == "integer":
        schema.setdefault("maximum", 2**63 - 1)
        schema.setdefault("minimum", -(2**63) + 1)
    elif schema.get("type") == "array":
        _bound(schema.get("items", {}))


def _body_schemas(result: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """Return the names of the components that stand in a request body, also deep inside."""
    found: set[str] = set()
    bodies = [
        operation["requestBody"]
        for path in result.get("paths", {}).values()
        for operation in path.values()
        if isinstance(operation, dict) and "requestBody" in operation
    ]
    waiting: list[Any] = bodies
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
            if name in schemas and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    return found
