"""The request as views of the API see it: who asks, when, and a body read strictly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from rest_framework.request import Request as RestRequest

from core.actor import ANONYMOUS, Actor
from core.api.problems import escape
from core.errors import FieldFault, InvalidInput, UnsupportedMediaType

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class Request(RestRequest):
    """REST framework's request with `actor`, `now` (the clock, read once) and `operation_key` (the name under which a
    durable command keeps its operation; the same for each retry with one idempotency key).

    An authentication class sets `actor` and, where the request speaks for an organisation, `organization_id`.
    """

    actor: Actor = ANONYMOUS
    organization_id: UUID | None = None
    operation_key: str = ""
    now: datetime

    def _parse(self) -> tuple[Any, dict[str, Any]]:
        return read_json(self._request), {}


def read_json(request: HttpRequest) -> Any:
    """Return the body as JSON; an empty body is an empty object.

    Raises `InvalidInput` for what is not JSON (with its place), for text that cannot be stored (with its pointer),
    `UnsupportedMediaType` for a body of another kind, and Django's error for one that is too large.
    """
    announced = request.META.get("CONTENT_LENGTH") or "0"
    if not (announced.isascii() and announced.isdigit()):
        raise InvalidInput("The header Content-Length is not a number.")
    body = request.body
    if not body:
        return {}
    _check_media_type(request)
    try:
        text = body.decode("utf-8-sig")
        data = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as fault:
        raise InvalidInput.at("", f"The body is not UTF-8 (byte {fault.start}).", "malformed_json") from None
    except json.JSONDecodeError as fault:
        place = f"line {fault.lineno}, column {fault.colno}"
        raise InvalidInput.at("", f"The body is not JSON: {fault.msg} at {place}.", "malformed_json") from None
    except (ValueError, RecursionError):
        raise InvalidInput.at("", "The body holds a number or a depth beyond all use.", "malformed_json") from None
    if _ESCAPED_UNSTORABLE.search(body):
        faults = tuple(_unstorable(data, ""))
        if faults:
            raise InvalidInput("The body holds characters that no text can hold.", faults=faults)
    return data


def _check_media_type(request: HttpRequest) -> None:
    media_type, _, parameters = request.META.get("CONTENT_TYPE", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise UnsupportedMediaType(
            "Send JSON: 'Content-Type: application/json'.", headers={"Accept": "application/json"}
        )


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a member twice: which one counts is unpredictable (RFC 8259, section 4)."""
    made = dict(members)
    if len(made) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput.at("", f"The body names the member {twice[:100]!r} twice in one object.", "duplicate_member")
    return made


def _refuse_constant(name: str) -> Any:
    raise InvalidInput.at("", f"The body is not JSON: {name} is no number.", "malformed_json")


def _unstorable(data: Any, pointer: str) -> Iterator[FieldFault]:
    """Find NUL and lone surrogates, which JSON can escape and PostgreSQL cannot keep."""
    if isinstance(data, str):
        if _UNSTORABLE.search(data):
            yield FieldFault(pointer, "unstorable_character", "NUL and lone surrogates cannot be stored.")
    elif isinstance(data, dict):
        for name, value in data.items():
            if _UNSTORABLE.search(name):
                yield FieldFault(pointer, "unstorable_character", "The name of a member holds NUL or a lone surrogate.")
            else:
                yield from _unstorable(value, f"{pointer}/{escape(name)}")
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _unstorable(value, f"{pointer}/{index}")
