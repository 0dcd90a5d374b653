"""`/docs/errors/<code>`: where the `type` of a problem document leads. For everybody; made from the error tree."""

from __future__ import annotations

import inspect
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from core.errors import AppError
from core.reference import errors_by_code


def _described(error: type[AppError]) -> dict[str, Any]:
    """What a page says of one kind of error. Its meaning is its class's own text."""
    own = error.__dict__.get("__doc__") if error is not AppError else None
    return {
        "code": error.code,
        "status": error.status,
        "phrase": HTTPStatus(error.status).phrase,
        "title": error.title,
        "meaning": inspect.cleandoc(own).replace("`", "") if own else "",
        "is_retryable": error.is_retryable,
    }


@require_safe
@cache_control(public=True, max_age=3600)
def index(request: HttpRequest) -> HttpResponse:
    """Every code with its status and meaning."""
    found = [_described(error) for error in errors_by_code().values()]
    return render(request, "docs/errors.html", {"errors": found})


@require_safe
@cache_control(public=True, max_age=3600)
def page(request: HttpRequest, code: str) -> HttpResponse:
    """One code: what it means and whether to send the request again."""
    error = errors_by_code().get(code)
    if error is None:
        raise Http404
    return render(request, "docs/error.html", {"error": _described(error)})
