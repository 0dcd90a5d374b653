"""The life of a subscription: which command may turn which status into which.

This table is the only place that says so. Services ask it, errors quote it, a database trigger enforces the same pairs
(`Trigger`, written out in a migration), and `docs/reference/subscription-states.md` is drawn from it.

A subscription has further axes that are no statuses: its access (granted or suspended), how it is collected, and what
is pending (a cancellation at the period's end, another price from the next period on). `allowed_commands` knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Protocol

from core.errors import InvalidTransition


class Status(StrEnum):
    """Where a subscription stands."""

    SCHEDULED = "scheduled"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


class Access(StrEnum):
    """Whether staff let the customer in; independent of the status."""

    GRANTED = "granted"
    SUSPENDED = "suspended"


class Collection(StrEnum):
    """How invoices are collected: by charging the payment method, or by waiting for a transfer."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


TEXTS: dict[Status, str] = {
    Status.SCHEDULED: "Begins on a later day.",
    Status.INCOMPLETE: "Waits for its first payment.",
    Status.INCOMPLETE_EXPIRED: "The first payment never came. Final.",
    Status.TRIALING: "Runs free of charge until the trial ends.",
    Status.ACTIVE: "Runs and is paid.",
    Status.PAST_DUE: "Runs; a payment failed and is tried again.",
    Status.UNPAID: "Does not run; every attempt to collect has failed.",
    Status.PAUSED: "Does not run and is not billed until it is resumed.",
    Status.CANCELED: "Has ended. It can only be reactivated.",
}

# Statuses in which periods pass and the next one will be billed.
RUNNING = frozenset({Status.TRIALING, Status.ACTIVE, Status.PAST_DUE})
# Statuses that count as an active subscription, and into recurring revenue: paid, or still expected to be.
REVENUE = frozenset({Status.ACTIVE, Status.PAST_DUE})
ENDED = frozenset({Status.CANCELED, Status.INCOMPLETE_EXPIRED})

_S = Status

# command -> {from: to}. A command that leaves the status as it is maps a status to itself.
TRANSITIONS: dict[str, dict[Status, Status]] = {
    "start_trial": {_S.SCHEDULED: _S.TRIALING},
    "await_payment": {_S.SCHEDULED: _S.INCOMPLETE},
    "activate": dict.fromkeys((_S.SCHEDULED, _S.INCOMPLETE, _S.TRIALING, _S.PAST_DUE, _S.UNPAID), _S.ACTIVE),
    "expire_incomplete": {_S.INCOMPLETE: _S.INCOMPLETE_EXPIRED},
    "renew": {_S.TRIALING: _S.ACTIVE, _S.ACTIVE: _S.ACTIVE, _S.PAST_DUE: _S.PAST_DUE},
    "mark_past_due": {_S.TRIALING: _S.PAST_DUE, _S.ACTIVE: _S.PAST_DUE},
    "mark_unpaid": {_S.PAST_DUE: _S.UNPAID},
    "change_plan": {status: status for status in (_S.TRIALING, _S.ACTIVE, _S.PAST_DUE)},
    "cancel": dict.fromkeys(
        (_S.SCHEDULED, _S.INCOMPLETE, _S.TRIALING, _S.ACTIVE, _S.PAST_DUE, _S.UNPAID, _S.PAUSED), _S.CANCELED
    ),
    "cancel_at_period_end": {status: status for status in (_S.TRIALING, _S.ACTIVE, _S.PAST_DUE)},
    "undo_cancel": {status: status for status in (_S.TRIALING, _S.ACTIVE, _S.PAST_DUE)},
    "pause": {_S.ACTIVE: _S.PAUSED},
    "resume": {_S.PAUSED: _S.ACTIVE},
    "suspend": {status: status for status in Status if status not in ENDED},
    "unsuspend": {status: status for status in Status if status not in ENDED},
    "reactivate": {_S.CANCELED: _S.INCOMPLETE},
}

# What only the product itself does, as time passes and payments come in or fail.
SYSTEM_COMMANDS = frozenset(
    {"start_trial", "await_payment", "activate", "expire_incomplete", "renew", "mark_past_due", "mark_unpaid"}
)
# What a customer or staff may ask for.
PUBLIC_COMMANDS = frozenset(TRANSITIONS) - SYSTEM_COMMANDS
# A suspended subscription may be let in again or ended, and time goes on; nothing else about it can be changed.
WHILE_SUSPENDED = frozenset({"unsuspend", "cancel", "cancel_at_period_end", "undo_cancel"}) | SYSTEM_COMMANDS


class Standing(Protocol):
    """What the table needs to know of a subscription."""

    @property
    def status(self) -> str: ...

    @property
    def access(self) -> str: ...

    @property
    def cancel_at_period_end(self) -> bool: ...


def true_status(subscription: Standing) -> str:
    """Return the status as errors name it: "suspended" while access is suspended, else the status itself.

    What has ended is named for its end, suspended or not.
    """
    if subscription.access == Access.SUSPENDED and subscription.status not in ENDED:
        return str(Access.SUSPENDED)
    return str(subscription.status)


def is_allowed(subscription: Standing, command: str) -> bool:
    """Whether all axes of the subscription allow `command`."""
    status = Status(subscription.status)
    if status not in TRANSITIONS[command]:
        return False
    is_suspended = subscription.access == Access.SUSPENDED
    if is_suspended and status not in ENDED and command not in WHILE_SUSPENDED:
        return False
    guards = {
        "suspend": not is_suspended,
        "unsuspend": is_suspended,
        "cancel_at_period_end": not subscription.cancel_at_period_end,
        "undo_cancel": subscription.cancel_at_period_end,
        "change_plan": not subscription.cancel_at_period_end,
        "pause": not subscription.cancel_at_period_end,
    }
    return guards.get(command, True)


def allowed_commands(subscription: Standing) -> list[str]:
    """Return what may be asked for now, in alphabetical order."""
    axes = Axes(str(subscription.status), str(subscription.access), subscription.cancel_at_period_end)
    return list(_allowed_commands(axes))


@dataclass(frozen=True, slots=True)
class Axes:
    """All that the table asks of a subscription: few combinations, so that lists look them up."""

    status: str
    access: str
    cancel_at_period_end: bool


@cache
def _allowed_commands(axes: Axes) -> tuple[str, ...]:
    return tuple(sorted(command for command in PUBLIC_COMMANDS if is_allowed(axes, command)))


def target(subscription: Standing, command: str) -> Status:
    """Return the status to which `command` leads. Raises `InvalidTransition`, naming the true state."""
    if not is_allowed(subscription, command):
        raise refusal(subscription, command)
    return TRANSITIONS[command][Status(subscription.status)]


def refusal(subscription: Standing, command: str) -> InvalidTransition:
    """Return the error for a command that the state does not allow."""
    error = InvalidTransition(
        current_status=true_status(subscription),
        command=command,
        allowed_commands=allowed_commands(subscription),
    )
    error.extra.update(
        subscription_status=str(subscription.status),
        access=str(subscription.access),
        cancel_at_period_end=subscription.cancel_at_period_end,
    )
    return error


def pairs(transitions: Mapping[str, Mapping[Status, Status]] = TRANSITIONS) -> list[tuple[str, str]]:
    """Return every change of status that some command makes, sorted."""
    return sorted({(str(old), str(new)) for moves in transitions.values() for old, new in moves.items() if old != new})


@dataclass(frozen=True, slots=True)
class Trigger:
    """The trigger that keeps the table in the database."""

    table: str = "billing_subscription"
    function: str = "billing_subscription_status_guard"

    def function_sql(self) -> str:
        """Return the function, with the table written out."""
        values = ",\n        ".join(f"('{old}', '{new}')" for old, new in pairs())
        return f"""CREATE OR REPLACE FUNCTION {self.function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN (
        {values}
    ) THEN
        RAISE EXCEPTION 'subscription %: no command leads from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'billing_subscription_transition';
    END IF;
    RETURN NEW;
END $$"""

    def trigger_sql(self) -> str:
        """Return the trigger that calls it when the status changes."""
        return f"""CREATE TRIGGER {self.function} BEFORE UPDATE OF status ON {self.table}
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION {self.function}()"""


TRIGGER = Trigger()


def as_markdown() -> str:
    """Return the reference page: the diagram (Mermaid), the statuses and the commands."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for command, moves in TRANSITIONS.items():
        for old, new in moves.items():
            if old != new:
                arrows.setdefault((old.value, new.value), []).append(command)
    diagram = [f"    {old} --> {new}: {', '.join(names)}" for (old, new), names in sorted(arrows.items())]
    begins = [f"    [*] --> {status.value}" for status in (_S.SCHEDULED, _S.TRIALING, _S.INCOMPLETE, _S.ACTIVE)]
    statuses = [f"| `{status.value}` | {text} |" for status, text in TEXTS.items()]
    commands = [
        f"| `{command}` | {'the product' if command in SYSTEM_COMMANDS else 'customer or staff'} | "
        + ", ".join(f"`{old.value}`" for old in moves)
        + " |"
        for command, moves in TRANSITIONS.items()
    ]
    lines = [
        "# The states of a subscription",
        "",
        "This page is made from `billing/states.py`, where the table stands; a database trigger enforces the same.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *begins,
        *diagram,
        "```",
        "",
        "| status | meaning |",
        "| --- | --- |",
        *statuses,
        "",
        "Access is an axis of its own: staff may suspend a subscription of any status that has not ended. Then errors"
        " call it *suspended*, and only `unsuspend`, `cancel`, `cancel_at_period_end` and `undo_cancel` are allowed.",
        "",
        "| command | asked for by | allowed while |",
        "| --- | --- | --- |",
        *commands,
    ]
    return "\n".join(lines) + "\n"
