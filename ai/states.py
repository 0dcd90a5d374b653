"""The life of a question: which command may turn which status into which.

    waiting --ask--> asking --answer--> answered
                       |----refuse----> failed     (the provider said no, or its answer does not hold)
                       `----lose------> unknown    (no answer came: it may have cost something)

A question whose answer was lost is asked again under the same key, or given up by the sweep; what it can have cost at
most is then counted.
"""

from __future__ import annotations

from enum import StrEnum

from billing.money_states import Machine


class Status(StrEnum):
    """`waiting`: a stream was promised and not opened yet. `asking`: the provider is being asked. `unknown`: no answer
    came, and whether it cost anything is not known."""

    WAITING = "waiting"
    ASKING = "asking"
    UNKNOWN = "unknown"
    ANSWERED = "answered"
    FAILED = "failed"


class Feedback(StrEnum):
    HELPFUL = "helpful"
    NOT_HELPFUL = "not_helpful"


_S = Status
OPEN = (Status.WAITING, Status.ASKING, Status.UNKNOWN)

QUESTION = Machine(
    "question",
    "ai_question",
    {
        "ask": {_S.WAITING: _S.ASKING, _S.UNKNOWN: _S.ASKING, _S.FAILED: _S.ASKING},
        "answer": {_S.ASKING: _S.ANSWERED},
        "refuse": {_S.ASKING: _S.FAILED},
        "lose": {_S.ASKING: _S.UNKNOWN},
        "give_up": {_S.WAITING: _S.FAILED, _S.ASKING: _S.FAILED, _S.UNKNOWN: _S.FAILED},
        "rate": {_S.ANSWERED: _S.ANSWERED},
    },
    frozenset({"rate"}),
)
