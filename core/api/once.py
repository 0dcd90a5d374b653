"""`Idempotency-Key`: a POST sent again is answered again, not done again.

What is stored: the reply of a success, and the refusal of a command that will not change by itself (its event commits
with it). What is not: faults of the input and of who asks (nothing began; the key may be used with a corrected body),
whatever may succeed later (429, 503, a request in progress), faults of ours (5xx), and replies that hold a secret.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable

from django.db import transaction
from django.http import HttpResponse

from core import context, idempotency
from core.api import problems
from core.api.operations import Idempotency, Operation
from core.api.replies import Reply
from core.api.requests import Request
from core.commands import record_refusal
from core.errors import AppError, IdempotencyKeyRequired, InvalidInput, ReplyNotKept
from core.idempotency import Claim, StoredReply
from core.ids import new_id

log = logging.getLogger("core.api")

_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("Content-Type", "ETag", "Location")


def run(request: Request, declared: Operation, execute: Callable[[], HttpResponse]) -> HttpResponse:
    """Carry out a POST once for its key. Without a key it is carried out, unless it must have one."""
    key = _key(request, declared)
    if not key:
        request.operation_key = new_id().hex
        return execute()
    claimed = idempotency.claim(scope=_scope(request), key=key, fingerprint=_fingerprint(request))
    if isinstance(claimed, StoredReply):
        return _replay(claimed)
    request.operation_key = claimed.operation_key
    is_durable = declared.idempotency is Idempotency.OPERATION
    try:
        if is_durable:
            reply = execute()
            _complete(claimed, reply, declared)
        else:
            with transaction.atomic():
                reply = execute()
                _complete(claimed, reply, declared)
        return reply
    except Exception as exception:
        error = problems.as_app_error(exception)
        if error is not None and _is_final(error):
            return _refuse(request, claimed, error, declared)
        has_begun = is_durable and (error is None or error.status >= 500 or hasattr(error, "refusal"))
        _release(claimed, is_begun=has_begun)
        raise


def _key(request: Request, declared: Operation) -> str:
    key = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if key is None:
        if declared.is_key_required:
            raise IdempotencyKeyRequired("Send the header 'Idempotency-Key' with a fresh random value, such as a UUID.")
        return ""
    if not _KEY.fullmatch(key):
        raise InvalidInput("The header 'Idempotency-Key' takes 1 to 255 visible ASCII characters.")
    return str(key)


def _scope(request: Request) -> str:
    actor = request.actor
    who = f"address:{context.current().ip}" if actor.is_anonymous else actor.principal
    behalf = actor.on_behalf_of.principal if actor.on_behalf_of else ""
    # The organisation as it was named: one that is only inferred changes when somebody founds or joins another, and a
    # retry must not then count as a new request.
    return idempotency.digest(who, behalf, request.META.get("HTTP_X_ORGANIZATION", ""), request.path)


def _fingerprint(request: Request) -> str:
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"))
    return idempotency.digest(request.method, request.get_full_path(), body)


def _is_final(error: AppError) -> bool:
    """Whether a command was reached and said no for good."""
    return error.status < 500 and not error.is_retryable and hasattr(error, "refusal")


def _refuse(request: Request, claimed: Claim, error: AppError, declared: Operation) -> HttpResponse:
    reply = problems.reply_to(error, request._request)
    with transaction.atomic():
        record_refusal(error)
        _complete(claimed, reply, declared)
    return reply


def _complete(claimed: Claim, reply: HttpResponse, declared: Operation) -> None:
    is_secret = (declared.has_secret or getattr(reply, "_holds_secret", False)) and reply.status_code < 400
    idempotency.complete(
        claimed,
        status=reply.status_code,
        headers={name: reply.headers[name] for name in _KEPT_HEADERS if name in reply.headers},
        body=None if is_secret else reply.content,
    )


def _replay(stored: StoredReply) -> HttpResponse:
    if stored.body is None:
        raise ReplyNotKept("This request was carried out before. Its reply held a secret, which is shown once only.")
    reply = Reply(status=stored.status, headers={**stored.headers, "Idempotent-Replayed": "true"})
    reply.content = stored.body
    if stored.status >= 400:
        reply._has_been_logged = True  # type: ignore[attr-defined]
    return reply


def _release(claimed: Claim, *, is_begun: bool) -> None:
    try:
        idempotency.release(claimed, is_begun=is_begun)
    except Exception:
        # The lease ends by itself; the caller shall hear of the first fault, not of this one.
        log.exception("api.idempotency_key_not_released")
