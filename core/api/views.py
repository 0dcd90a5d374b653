"""The life of a request of the API, from the actor to the reply (docs: the life of a request).

REST framework's declarations stay (serializers, routers, schema); its dispatch is replaced by one that does less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView as RestAPIView

from core import clock, context, limits
from core.api import once, operations, problems, strict
from core.api.filters import refuse_unknown
from core.api.operations import Idempotency, Operation
from core.api.replies import JSON, PROBLEM_JSON, Reply, etag, finish, version_tags
from core.api.requests import Request
from core.api.serializers import InputSerializer
from core.errors import InvalidInput, MethodNotAllowed, NotAcceptable, StaleVersion, Unauthenticated
from core.models import Entity
from core.telemetry import logs

_WITH_BODY = ("POST", "PUT", "PATCH")
_ACCEPTED = {"*/*", "application/*", JSON, PROBLEM_JSON}


class APIView(RestAPIView):
    """A view of the API. `is_public` opens it to whoever is not signed in (`operation(is_public=True)` one method).

    A method returns data for the declared serializer, or a reply. Whatever it raises becomes a problem document.
    """

    is_public: ClassVar[bool] = False
    tag: ClassVar[str | None] = None
    permission_classes: Any = ()
    throttle_classes: Any = ()
    request: Any

    # --- dispatch ----------------------------------------------------------------------------------------------------

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        self.args, self.kwargs = args, kwargs
        self.headers: dict[str, str] = {}
        self.request = asked = self.initialize_request(request)
        try:
            with context.changed(source="api"):
                reply = self._answer(asked, args, kwargs)
        except Exception as error:
            reply = problems.handle(error, request)
        for name, value in self.headers.items():
            reply.headers[name] = value
        finish(reply, is_private=not asked.actor.is_anonymous)
        return reply

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        asked = Request(request, authenticators=self.get_authenticators(), negotiator=cast("Any", self))
        asked.now = clock.now()
        action_map = getattr(self, "action_map", None)
        if action_map is not None:
            self.action = action_map.get((request.method or "").lower())
        return asked

    def _answer(self, request: Request, args: Any, kwargs: Any) -> HttpResponseBase:
        name = (request.method or "").lower()
        handler = getattr(self, name, None) if name in self.http_method_names else None
        if handler is None:
            allowed = ", ".join(self._allowed_methods())
            raise MethodNotAllowed(f"Allowed here: {allowed}.", headers={"Allow": allowed})
        declared = operations.of(handler)
        self._check_accept(request)
        try:
            request.user  # noqa: B018  # authenticates: sets the actor
        except Unauthenticated:
            self.limit(request)  # a wrong token counts as a request of nobody
            raise
        logs.bind(actor=request.actor.principal)
        if request.actor.is_anonymous and not (self.is_public or declared.is_public):
            self.limit(request)
            raise Unauthenticated("Sign in, or send an access token or an API key as a bearer token.")
        if self.permission_classes:
            self.check_permissions(request)
        with context.changed(organization_id=request.organization_id or context.current().organization_id):
            self.limit(request)
            if request.GET:
                refuse_unknown(request.GET, self.known_parameters(declared))
            if declared.request is None and request.method in _WITH_BODY and request._request.body:
                self._validated(InputSerializer, request.data, {})  # a member that nobody reads is a mistake
            reply = self._execute(handler, declared, request, args, kwargs)
        if declared.has_secret:
            reply._holds_secret = True  # type: ignore[attr-defined]  # it is not compressed
        return reply

    def _execute(
        self, handler: Callable[..., Any], declared: Operation, request: Request, args: Any, kwargs: Any
    ) -> HttpResponseBase:
        def execute() -> HttpResponse:
            return self.reply(handler(request, *args, **kwargs) if declared.takes_path else handler(request), declared)

        if request.method == "POST" and declared.idempotency is not Idempotency.EXEMPT:
            has_key = "HTTP_IDEMPOTENCY_KEY" in request.META
            if has_key or declared.is_key_required or declared.idempotency is Idempotency.OPERATION:
                return once.run(request, declared, execute)
        if "HTTP_IF_MATCH" in request.META and declared.idempotency is Idempotency.TRANSACTION:
            # The row is locked when its version is compared, so that nobody comes in between.
            with transaction.atomic():
                return execute()
        return execute()

    def limit(self, request: Request) -> None:
        """Count the request against the limit of who sends it. Raises `LimitReached`."""
        self.headers.update(limits.enforce(request).headers)

    def handle_exception(self, exc: Exception) -> Any:
        return problems.handle(exc, self.request._request)

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Say which methods there are."""
        return Reply(status=204, headers={"Allow": ", ".join(self._allowed_methods())})

    options.operation = Operation(is_public=True)  # type: ignore[attr-defined]

    def _allowed_methods(self) -> list[str]:
        return [name.upper() for name in self.http_method_names if hasattr(self, name)]

    def _check_accept(self, request: Request) -> None:
        accept = request.META.get("HTTP_ACCEPT")
        if not accept or accept in _ACCEPTED:
            return
        for part in accept.split(","):
            media_type, _, parameters = part.partition(";")
            if media_type.strip().lower() in _ACCEPTED and not _is_refused(parameters):
                return
        raise NotAcceptable(f"The API answers in {JSON} only.")

    # --- what methods use --------------------------------------------------------------------------------------------

    def known_parameters(self, declared: Operation) -> frozenset[str]:
        """Return the names of the query parameters that the called method takes."""
        return frozenset(declared.query().fields) if declared.query else frozenset()

    def input(self, serializer_class: type[Serializer[Any]] | None = None, **options: Any) -> Any:
        """Return the validated body, by default as the declared request serializer. Raises `InvalidInput` with a JSON
        pointer for each fault: unknown members, wrong JSON types, broken rules. `options` go to the serializer."""
        if serializer_class is None:
            serializer_class = operations.of(getattr(self, self.request.method.lower())).request
            assert serializer_class is not None, "the method declares no request serializer"
        return self._validated(serializer_class, self.request.data, options)

    def query(self, serializer_class: type[Serializer[Any]] | None = None) -> Any:
        """Return the validated query parameters, by default as the declared `query` serializer."""
        if serializer_class is None:
            serializer_class = operations.of(getattr(self, self.request.method.lower())).query
            assert serializer_class is not None, "the method declares no query serializer"
        serializer = serializer_class(data=self.request.GET, context={"request": self.request, "view": self})
        if not serializer.is_valid():
            faults = problems.faults_of(serializer.errors, "?")
            raise InvalidInput("A query parameter is not valid.", faults=[_parameter_fault(fault) for fault in faults])
        return serializer.validated_data

    def _declared(self) -> Operation:
        """Return what was declared of the method that is called."""
        return operations.of(getattr(self, getattr(self, "action", None) or self.request.method.lower(), None))

    def _validated(self, serializer_class: type[Serializer[Any]], data: Any, options: dict[str, Any]) -> Any:
        serializer = serializer_class(data=data, context={"request": self.request, "view": self}, **options)
        faults = list(strict.faults_of(serializer, data))
        if not serializer.is_valid():
            told = {fault.pointer for fault in faults}
            faults += [fault for fault in problems.faults_of(serializer.errors) if fault.pointer not in told]
        if faults:
            raise InvalidInput("The input is not valid.", faults=faults)
        return serializer.validated_data

    def reply(self, result: Any, declared: Operation, *, status: int | None = None) -> Any:
        """Return what a method returned as a reply: a row is written by the declared serializer and gets its ETag."""
        if isinstance(result, Response):
            reply = Reply(result.data, status=result.status_code)
            for name, value in result.headers.items():
                reply.headers[name] = value
            return reply
        if isinstance(result, HttpResponseBase):
            return result
        version = result.version if isinstance(result, Entity) and declared.response is not None else None
        return Reply(written(declared.response, result), status=status or declared.status, version=version)

    def check_version(self, row: Entity) -> Entity:
        """Compare `If-Match` with the row's version; returns the row (locked, when a transaction is open, and as it
        stands now). Raises `StaleVersion` with the present ETag."""
        wanted = self.request.META.get("HTTP_IF_MATCH")
        if wanted is None:
            return row
        if transaction.get_connection().in_atomic_block:
            row = row.refreshed_for_update()
        present = etag(row.version)
        if wanted.strip() != "*" and present not in version_tags(wanted):
            if self._declared().request is not None:
                self.input()  # what is wrong in any case is told first (RFC 9110, section 13.2.1)
            raise StaleVersion(
                f"It stands at {present}, you asked for {wanted[:200]}. Read it again.",
                headers={"ETag": present},
                current_etag=present,
            )
        return row


def written(serializer_class: Any, result: Any) -> Any:
    """Return `result` (a row, rows, or plain data) as `serializer_class` writes it."""
    if result is None or serializer_class is None or not isinstance(serializer_class, type):
        return result
    if isinstance(result, list | tuple):
        return [written(serializer_class, row) for row in result]
    if hasattr(serializer_class, "represent"):
        return serializer_class.represent(result)
    return serializer_class(result).data


def _is_refused(parameters: str) -> bool:
    """Whether an Accept part carries the quality 0."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return not value.strip().strip("0.")
    return False


def _parameter_fault(fault: Any) -> Any:
    return type(fault)(fault.pointer.replace("?/", "?", 1), fault.code, fault.detail)
