"""The lives of an invoice, a payment and a refund: which command may turn which status into which.

Services ask these tables, errors quote them, database triggers enforce the same pairs (written out in a migration).
The life of a subscription stands in `states.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.errors import InvalidTransition


class InvoiceStatus(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    VOID = "void"
    UNCOLLECTIBLE = "uncollectible"


class TransferStatus(StrEnum):
    """Where a payment or a refund stands. `processing`: the intent is committed, the provider is being asked.
    `unknown`: its answer was lost; it is asked again, and nobody guesses."""

    PROCESSING = "processing"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


IN_FLIGHT = (TransferStatus.PROCESSING, TransferStatus.UNKNOWN)


class HasStatus(Protocol):
    status: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A transition table: command -> {from: to}. `public` names the commands that a person may give."""

    noun: str
    table: str
    transitions: Mapping[str, Mapping[str, str]]
    public: frozenset[str]

    def allowed_commands(self, row: HasStatus) -> list[str]:
        """Return what a person may ask for now, in alphabetical order."""
        return sorted(command for command in self.public if row.status in self.transitions[command])

    def target(self, row: HasStatus, command: str) -> str:
        """Return the status to which `command` leads. Raises InvalidTransition."""
        moves = self.transitions[command]
        if row.status not in moves:
            raise InvalidTransition(
                current_status=str(row.status), command=command, allowed_commands=self.allowed_commands(row)
            )
        return str(moves[row.status])

    def pairs(self) -> list[tuple[str, str]]:
        """Return every change of status that some command makes, sorted."""
        return sorted(
            {(str(old), str(new)) for moves in self.transitions.values() for old, new in moves.items() if old != new}
        )

    def trigger_sql(self) -> str:
        """Return the SQL of the trigger that enforces the table in the database."""
        name = f"{self.table}_status_guard"
        values = ", ".join(f"('{old}', '{new}')" for old, new in self.pairs())
        return f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.status, NEW.status) NOT IN ({values}) THEN
        RAISE EXCEPTION '{self.noun} %: no command leads from % to %', OLD.id, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = '{self.table}_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER {name} BEFORE UPDATE OF status ON {self.table}
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION {name}()"""


_I, _T = InvoiceStatus, TransferStatus

INVOICE = Machine(
    "invoice",
    "billing_invoice",
    {
        "finalize": {_I.DRAFT: _I.OPEN},
        "pay": {_I.OPEN: _I.PAID, _I.UNCOLLECTIBLE: _I.PAID},
        "void": {_I.DRAFT: _I.VOID, _I.OPEN: _I.VOID, _I.UNCOLLECTIBLE: _I.VOID},
        "mark_uncollectible": {_I.OPEN: _I.UNCOLLECTIBLE},
    },
    frozenset({"finalize", "pay", "void", "mark_uncollectible"}),
)

_TRANSFER: dict[str, dict[str, str]] = {
    "ask": {_T.PROCESSING: _T.PROCESSING, _T.UNKNOWN: _T.UNKNOWN},
    "lose_answer": {_T.PROCESSING: _T.UNKNOWN, _T.UNKNOWN: _T.UNKNOWN},
    "succeed": {_T.PROCESSING: _T.SUCCEEDED, _T.UNKNOWN: _T.SUCCEEDED},
    "fail": {_T.PROCESSING: _T.FAILED, _T.UNKNOWN: _T.FAILED},
}
PAYMENT = Machine(
    "payment", "billing_payment", {**_TRANSFER, "refund": {_T.SUCCEEDED: _T.SUCCEEDED}}, frozenset({"refund"})
)
REFUND = Machine("refund", "billing_refund", _TRANSFER, frozenset())
