"""What the assistant refuses, and what its provider may get wrong."""

from __future__ import annotations

from typing import TypeVar

from ai.costs import Usage
from core.errors import (
    AppError,
    LimitReached,
    ProviderAnswerInvalid,
    ProviderRejected,
    ProviderUnavailable,
    RuleBroken,
)
from core.outside import ProviderTimedOut

_E = TypeVar("_E", bound=AppError)


class BudgetReached(LimitReached):
    """What the organisation may spend on answers today is spent or promised to questions under way."""

    code, title = "ai_budget_reached", "The budget of today is used up"


class ProviderQuotaReached(LimitReached):
    """The provider counts our calls too. Its own words stand in `provider_message`."""

    code, title = "provider_quota_reached", "The provider's quota is used up"


class AnswerBlocked(ProviderRejected):
    """The provider's rules of content stopped the question or its answer."""

    status, code, title = 502, "answer_blocked", "The provider would not answer this"


class AnswerIncomplete(ProviderRejected):
    """The answer was cut off: longer than it may be."""

    status, code, title = 502, "answer_incomplete", "The answer was cut off"


class RequestRejected(ProviderRejected):
    """The provider does not take the request as it is."""

    status, code, title = 502, "provider_rejected_request", "The provider rejected the request"


class AnswerLate(ProviderTimedOut):
    """No answer in time. It may have cost something, so it is not asked for again by itself."""

    is_retryable = False


class AnswerBroken(ProviderUnavailable):
    """A part of the answer came, and then no more."""

    code, title, is_retryable = "answer_broken", "The answer broke off", False


class AnswerInvalid(ProviderAnswerInvalid):
    """The answer has not the shape that was asked for. It was paid for: it is not asked for again by itself."""

    is_retryable = False


class AnswerUnsupported(AnswerInvalid):
    """It claims to answer, and no quotation of it stands in what it was given."""

    code, title = "answer_unsupported", "The answer is not supported by its sources"


class AnswerLost(ProviderAnswerInvalid):
    """No answer came, and nobody waits for it any more. What it can have cost at most was counted."""

    code, title = "answer_lost", "The answer was lost"


class StreamNotOpened(RuleBroken):
    """A stream was promised for the answer, and nobody opened it in time."""

    code, title = "stream_not_opened", "The stream was not opened in time"


def spent(error: _E, usage: Usage | None) -> _E:
    """Return the error with what was used up to it, where the provider said so."""
    error.spent = usage  # type: ignore[attr-defined]
    return error


def spent_on(error: AppError) -> Usage | None:
    """Return what was used before the error, None when it is not known."""
    return getattr(error, "spent", None)
