"""The one tree of expected errors. Services raise them; one handler renders them (RFC 9457).

An error's `code` never changes once shipped. `is_retryable` says whether the same call may succeed later: a property
of the error, not of the caller. Apps derive their own in `<app>/errors.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One fault of the input. `pointer` is a JSON pointer (RFC 6901) into the body, or `?name` for a parameter."""

    pointer: str
    code: str
    detail: str

    def as_payload(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


class AppError(Exception):
    """An expected refusal or failure. `extra` becomes members of the problem document."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong"
    is_retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        faults: Iterable[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.extra = extra


class InvalidInput(AppError):
    status, code, title = 400, "invalid_input", "The input is not valid"

    @classmethod
    def at(cls, pointer: str, detail: str, code: str = "invalid") -> InvalidInput:
        """Return the error for one field: `InvalidInput.at("/email", "Not an address.")`."""
        return cls(detail, faults=[FieldFault(pointer, code, detail)])


class Unauthenticated(AppError):
    status, code, title = 401, "unauthenticated", "Sign in first"


class Forbidden(AppError):
    status, code, title = 403, "forbidden", "You may not do this"


class NotFound(AppError):
    """Also for what the actor may not see."""

    status, code, title = 404, "not_found", "There is no such thing"


class MethodNotAllowed(AppError):
    status, code, title = 405, "method_not_allowed", "The method is not allowed here"


class NotAcceptable(AppError):
    status, code, title = 406, "not_acceptable", "No acceptable representation"


class Conflict(AppError):
    status, code, title = 409, "conflict", "The state does not allow this"


class InvalidTransition(Conflict):
    """A command that the present state forbids."""

    code, title = "invalid_transition", "The state does not allow this command"

    def __init__(self, *, current_status: str, command: str, allowed_commands: Iterable[str], detail: str = "") -> None:
        allowed = sorted(allowed_commands)
        choice = f" Allowed: {', '.join(allowed)}." if allowed else " Nothing is allowed any more."
        super().__init__(
            detail or f"'{command}' is not possible while the status is '{current_status}'.{choice}",
            current_status=current_status,
            command=command,
            allowed_commands=allowed,
        )


class RequestInProgress(Conflict):
    code, title, is_retryable = "request_in_progress", "The same request is still running", True


class ReplyNotKept(Conflict):
    """The request was carried out; its reply held a secret, and secrets are shown once."""

    code, title = "reply_not_kept", "It was done, and its reply is not kept"


class StaleVersion(AppError):
    status, code, title = 412, "stale_version", "Somebody changed it meanwhile"


class TooLarge(AppError):
    status, code, title = 413, "too_large", "The body is too large"


class UnsupportedMediaType(AppError):
    status, code, title = 415, "unsupported_media_type", "The media type is not supported"


class IdempotencyReused(AppError):
    status, code, title = 422, "idempotency_key_reused", "The idempotency key was used for another request"


class RuleBroken(AppError):
    """Well-formed, allowed, and still against a rule of the business."""

    status, code, title = 422, "rule_broken", "A rule forbids this"


class PreconditionRequired(AppError):
    status, code, title = 428, "precondition_required", "A condition is required"


class IdempotencyKeyRequired(PreconditionRequired):
    code, title = "idempotency_key_required", "An idempotency key is required"


class LimitReached(AppError):
    status, code, title, is_retryable = 429, "limit_reached", "Too many requests", True


class PlanLimitReached(AppError):
    status, code, title = 402, "plan_limit_reached", "The plan does not include this"


class Unavailable(AppError):
    """A part of ours does not answer just now."""

    status, code, title, is_retryable = 503, "unavailable", "Not available just now", True


class ProviderRejected(AppError):
    """The provider understood and said no. Its own words go into `provider_message`, never into `detail`."""

    status, code, title = 402, "provider_rejected", "The provider declined"


class ProviderAnswerInvalid(AppError):
    status, code, title, is_retryable = (
        502,
        "provider_answer_invalid",
        "The provider answered in an unknown shape",
        True,
    )


class ProviderUnavailable(AppError):
    status, code, title, is_retryable = 503, "provider_unavailable", "The provider cannot be reached", True


class ProviderMisconfigured(AppError):
    status, code, title = 500, "provider_misconfigured", "A provider is set up wrongly"
