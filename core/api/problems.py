"""One place turns what was raised into a problem document (RFC 9457); nothing else answers errors of the API."""

from __future__ import annotations

import html
import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core import exceptions as django_errors
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.shortcuts import render
from rest_framework import exceptions as drf_errors

from core import context
from core.api.replies import PROBLEM_JSON, Reply, finish, is_for_api
from core.commands import record_refusal
from core.errors import (
    AppError,
    FieldFault,
    Forbidden,
    InvalidInput,
    LimitReached,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)

log = logging.getLogger("core.api")

ERROR_PAGES = "/docs/errors/"
_STANDARD_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code", "request_id", "errors"})


def document(error: AppError, *, instance: str) -> dict[str, Any]:
    """Return the problem document of `error`. Members of `error.extra` stand beside the standard ones."""
    problem: dict[str, Any] = {
        "type": f"{ERROR_PAGES}{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "request_id": context.current().request_id,
    }
    if error.faults:
        problem["errors"] = [fault.as_payload() for fault in error.faults]
    problem.update((name, value) for name, value in error.extra.items() if name not in _STANDARD_MEMBERS)
    return problem


def reply_to(error: AppError, request: HttpRequest) -> Reply:
    """Return the reply for `error`. It carries no secret and is kept by no cache."""
    reply = Reply(
        document(error, instance=request.path), status=error.status, headers=error.headers, content_type=PROBLEM_JSON
    )
    if error.status == HTTPStatus.UNAUTHORIZED:
        reply.headers.setdefault("WWW-Authenticate", "Bearer")
    finish(reply, is_private=True)
    reply._has_been_logged = True  # type: ignore[attr-defined]  # Django would write a second line
    return reply


def handle(exception: Exception, request: HttpRequest) -> Reply:
    """Answer whatever a view raised: record the refusal of a command (its transaction has rolled back by now), write
    one log line where the fault is ours, and make exactly one reply."""
    error = as_app_error(exception)
    if error is None:
        log.error("api.unhandled_error", exc_info=exception, extra={"path": request.path, "method": request.method})
        return reply_to(
            AppError("Something went wrong on our side. Quote the request id when you ask about it."), request
        )
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("api.failed", exc_info=exception, extra={"code": error.code, "path": request.path})
    try:
        record_refusal(error)
    except Exception:
        # The caller's answer does not depend on it; the line is what is left of the refusal.
        log.exception("api.refusal_not_recorded", extra={"code": error.code, "path": request.path})
    return reply_to(error, request)


def exception_handler(exception: Exception, handler_context: Mapping[str, Any]) -> Reply:
    """What REST framework calls (`EXCEPTION_HANDLER`), also for views that are not ours."""
    request = handler_context["request"]
    return handle(exception, getattr(request, "_request", request))


def as_app_error(exception: BaseException) -> AppError | None:
    """Return the expected error that `exception` stands for; None when it is a fault of ours."""
    if isinstance(exception, AppError):
        return exception
    if isinstance(exception, drf_errors.APIException):
        return _from_rest_framework(exception)
    if isinstance(exception, Http404):
        return NotFound("There is nothing at this address.")
    if isinstance(exception, django_errors.PermissionDenied):
        return Forbidden()
    if isinstance(exception, django_errors.RequestDataTooBig):
        return TooLarge("The body may have 10 MB at most.")
    if isinstance(exception, UnreadablePostError | RawPostDataException | MultiPartParserError):
        return InvalidInput.at("", "The body ended before its announced length.", "incomplete_body")
    if isinstance(exception, django_errors.ValidationError):
        return InvalidInput("The input is not valid.", faults=_model_faults(exception))
    if isinstance(exception, django_errors.SuspiciousOperation | django_errors.BadRequest):
        return InvalidInput("The request is malformed.")
    if isinstance(exception, OperationalError | InterfaceError):
        return Unavailable("The database cannot answer just now. Try again.", headers={"Retry-After": "1"})
    return None


def _from_rest_framework(error: drf_errors.APIException) -> AppError:
    detail = _plain_text(str(error.detail)) if not isinstance(error.detail, dict | list) else ""
    match error:
        case drf_errors.ValidationError():
            return InvalidInput("The input is not valid.", faults=faults_of(error.detail))
        case drf_errors.ParseError():
            return InvalidInput.at("", detail, "malformed_body")
        case drf_errors.NotAuthenticated() | drf_errors.AuthenticationFailed():
            return Unauthenticated(detail)
        case drf_errors.PermissionDenied():
            return Forbidden(detail)
        case drf_errors.NotFound():
            return NotFound(detail)
        case drf_errors.MethodNotAllowed():
            return MethodNotAllowed(detail)
        case drf_errors.NotAcceptable():
            return NotAcceptable(detail)
        case drf_errors.UnsupportedMediaType():
            return UnsupportedMediaType(detail)
        case drf_errors.Throttled():
            return LimitReached(detail, headers={"Retry-After": str(int(getattr(error, "wait", None) or 1))})
    return InvalidInput(detail) if error.status_code < 500 else AppError()


def faults_of(detail: Any, pointer: str = "") -> tuple[FieldFault, ...]:
    """Return REST framework's nested error detail as a flat list with JSON pointers (RFC 6901)."""
    return tuple(_faults(detail, pointer))


def _faults(detail: Any, pointer: str) -> Iterator[FieldFault]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _faults(inner, pointer if name == "non_field_errors" else f"{pointer}/{escape(str(name))}")
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            is_fault = isinstance(inner, str)
            yield from _faults(inner, pointer if is_fault else f"{pointer}/{index}")
    else:
        yield FieldFault(pointer, getattr(detail, "code", None) or "invalid", _plain_text(str(detail)))


def _model_faults(error: django_errors.ValidationError) -> tuple[FieldFault, ...]:
    if hasattr(error, "error_dict"):
        return tuple(
            FieldFault(
                "" if name == django_errors.NON_FIELD_ERRORS else f"/{escape(name)}", inner.code or "invalid", text
            )
            for name, errors in error.error_dict.items()
            for inner in errors
            for text in inner.messages
        )
    return tuple(FieldFault("", error.code or "invalid", text) for text in error.messages)


def escape(name: str) -> str:
    """Escape one reference token of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _plain_text(text: str) -> str:
    """Texts of libraries may hold HTML entities; a problem document is plain text."""
    return html.unescape(text)


# --- what no view of the API sees: unknown addresses, refused requests, crashes of the frame -------------------------


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, as_app_error(exception) if exception else None, InvalidInput("The request is malformed."))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(
        request, None, Forbidden("Your rights do not reach this page. Somebody who has more can give you more.")
    )


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """`CSRF_FAILURE_VIEW`: a form of a page that is older than the present session, or of a browser without cookies."""
    detail = "This form is older than your session, or your browser keeps no cookies. Go back, reload, send it again."
    return _answer(request, None, Forbidden(detail))


def not_found(request: HttpRequest, exception: Exception | None = None, **kwargs: Any) -> HttpResponse:
    """`handler404`, and the view of every address under `/api/` that no route takes."""
    return _answer(request, None, NotFound("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """`handler500`: a crash outside of the API's views. Its one log line is written here (Django's own is off)."""
    log.error("frame.unhandled_error", exc_info=True, extra={"path": request.path, "method": request.method})
    return _answer(
        request, None, AppError("Something went wrong on our side. Quote the request id when you ask about it.")
    )


def _answer(request: HttpRequest, error: AppError | None, otherwise: AppError) -> HttpResponse:
    error = error or otherwise
    if is_for_api(request):
        return reply_to(error, request)
    values = {"error": error, "request_id": context.current().request_id}
    try:
        return render(request, "error.html", values, status=error.status)
    except Exception:
        # A context processor may be what failed: the page must not fail with it.
        log.exception("pages.error_page_failed")
        return HttpResponse(f"{error.title}. {error.detail}", status=error.status, content_type="text/plain")
