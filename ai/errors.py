"""What the assistant refuses, and what its provider may get wrong."""

from __future__ import annotations

from core.errors import LimitReached, ProviderAnswerInvalid, ProviderRejected, RuleBroken


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
