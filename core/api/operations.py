"""One decorator declares what a route takes, gives, documents and how often it may happen."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar, cast

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.serializers import Serializer

from core.errors import AppError

F = TypeVar("F", bound=Callable[..., Any])


class Idempotency(StrEnum):
    """How an idempotency key is honoured.

    TRANSACTION: change, event and stored reply commit together. OPERATION: a durable command keeps `operation_key` on
    its persisted operation, and a retry resumes it. EXEMPT: the key is not read (`/auth/`).
    """

    TRANSACTION = "transaction"
    OPERATION = "operation"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class Operation:
    """What is declared of one method of a view."""

    request: type[Serializer[Any]] | None = None
    response: type[Serializer[Any]] | None = None
    query: type[Serializer[Any]] | None = None
    status: int = 200
    idempotency: Idempotency = Idempotency.TRANSACTION
    is_key_required: bool = False
    has_secret: bool = False
    is_public: bool = False
    errors: tuple[type[AppError], ...] = ()
    takes_path: bool = True


DEFAULT = Operation()


def operation(
    *,
    request: type[Serializer[Any]] | None = None,
    response: Any = None,
    query: type[Serializer[Any]] | None = None,
    status: int = 200,
    idempotency: str = Idempotency.TRANSACTION,
    is_key_required: bool = False,
    has_secret: bool = False,
    is_public: bool = False,
    errors: tuple[type[AppError], ...] = (),
    examples: list[OpenApiExample] | None = None,
    summary: str | None = None,
    operation_id: str | None = None,
    others: Mapping[int, Any] | None = None,
) -> Callable[[F], F]:
    """Declare a method of a view (`post`, `create`, `partial_update`, …): `def cancel(self, request)`. Parts of the
    address are in `self.kwargs`, and are passed too when the method takes more than the request.

    What the method returns is written by `response` with `status`, unless it is a reply already; a row gets its ETag.
    `query` is a serializer of the query parameters (`self.query()`). `has_secret` keeps the reply out of the store of
    idempotency keys: a replay is then told that it happened (409 `reply_not_kept`). `errors` are documented beside the
    ones that every such route can answer, `others` are further replies by status.
    """

    def decorate(function: F) -> F:
        declared = Operation(
            request=request,
            response=response,
            query=query,
            status=status,
            idempotency=Idempotency(idempotency),
            is_key_required=is_key_required,
            has_secret=has_secret,
            is_public=is_public,
            errors=errors,
            takes_path=len(inspect.signature(function).parameters) > 2,
        )
        described: Any = extend_schema(
            request=request,
            responses={status: response, **(others or {})},
            parameters=[query] if query else None,
            examples=examples,
            summary=summary,
            operation_id=operation_id,
        )(function)
        described.operation = declared
        return cast("F", described)

    return decorate


def command_action(
    *, detail: bool = True, url_path: str | None = None, method: str = "post", **declared: Any
) -> Callable[[F], F]:
    """Declare a command of an `EntityViewSet`: `POST …/{id}/cancel`. Takes what `operation` takes."""

    def decorate(function: F) -> F:
        path = url_path or function.__name__.replace("_", "-")
        # The schema is hung on last: REST framework's decorator overwrites what stands there.
        made: Any = action(detail=detail, methods=cast("Any", [method]), url_path=path)
        return operation(**declared)(cast("F", made(function)))

    return decorate


def of(handler: Any) -> Operation:
    """Return what was declared of a view's method."""
    return getattr(handler, "operation", DEFAULT)
