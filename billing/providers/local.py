"""The sandbox: a payment provider with a memory, the embedded default.

It keeps its own books in tables of its own (`sandbox_charges`, `sandbox_refunds`), reached through a connection of its
own that commits at once: what it did outlives any rollback of ours, as with a real provider. How it behaves is chosen
by the payment method's token (docs/reference/sandbox.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connections
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from billing.providers.base import AnswerUnknown, ChargeResult, Health, RefundResult, ResultStatus
from core import outside
from core.errors import ProviderUnavailable
from core.ids import new_id

SLOW_SECONDS = 2.0
DECLINES = {
    "card_declined": "The card was declined.",
    "insufficient_funds": "The account does not hold enough.",
    "expired_card": "The card has expired.",
    "incorrect_cvc": "The security code is wrong.",
    "lost_card": "The card was reported lost.",
    "stolen_card": "The card was reported stolen.",
    "fraud_suspected": "The payment looks fraudulent.",
    "processing_error": "The bank could not process the payment.",
    "limit_exceeded": "The payment is above the card's limit.",
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a token makes the sandbox do."""

    text: str
    decline_code: str = ""
    refund_failure_code: str = ""
    is_unavailable: bool = False
    is_lost_before: bool = False
    is_lost_after: bool = False
    is_refund_lost_after: bool = False
    slow_seconds: float = 0.0


BEHAVIOURS: dict[str, Behaviour] = {
    "tok_success": Behaviour("The charge succeeds."),
    **{f"tok_{code}": Behaviour(text, decline_code=code) for code, text in DECLINES.items()},
    "tok_timeout_after_charge": Behaviour("The money is taken, the answer is lost.", is_lost_after=True),
    "tok_timeout_before_charge": Behaviour(
        "The first request is lost on its way; the next one works.", is_lost_before=True
    ),
    "tok_timeout_after_decline": Behaviour("Declined, and the answer is lost.", "card_declined", is_lost_after=True),
    "tok_unavailable": Behaviour("The provider cannot be reached.", is_unavailable=True),
    "tok_slow": Behaviour("Waits two seconds before and two seconds after the charge.", slow_seconds=SLOW_SECONDS),
    "tok_refund_fails": Behaviour("The charge succeeds, refunds fail.", refund_failure_code="account_closed"),
    "tok_refund_timeout_after": Behaviour(
        "The charge succeeds; a refund is made and its answer is lost.", is_refund_lost_after=True
    ),
}
UNKNOWN_TOKEN = Behaviour("Any other token is declined.", decline_code="invalid_payment_method")

APPLICATION_NAME = "countinghouse sandbox"  # how its connections are told from ours

_CHARGE = """
INSERT INTO sandbox_charges (key, reference, payment_method, amount_minor, currency, status, decline_code, metadata)
VALUES (%(key)s, %(reference)s, %(payment_method)s, %(amount_minor)s, %(currency)s, %(status)s, %(decline_code)s,
        %(metadata)s)
ON CONFLICT (key) DO UPDATE SET request_count = sandbox_charges.request_count + 1
RETURNING *
"""
_REFUND = """
WITH charge AS (SELECT * FROM sandbox_charges WHERE reference = %(charge_reference)s FOR UPDATE),
     given AS (SELECT coalesce(sum(amount_minor), 0) AS amount_minor FROM sandbox_refunds
               WHERE charge_reference = %(charge_reference)s AND status = 'succeeded' AND key <> %(key)s),
     verdict AS (SELECT CASE WHEN %(failure_code)s <> '' THEN %(failure_code)s
                             WHEN charge.status <> 'succeeded' THEN 'charge_not_succeeded'
                             WHEN charge.currency <> %(currency)s THEN 'currency_mismatch'
                             WHEN given.amount_minor + %(amount_minor)s > charge.amount_minor THEN 'amount_too_large'
                             ELSE '' END AS failure_code FROM charge, given)
INSERT INTO sandbox_refunds (key, reference, charge_reference, amount_minor, currency, status, failure_code)
SELECT %(key)s, %(reference)s, %(charge_reference)s, %(amount_minor)s, %(currency)s,
       CASE verdict.failure_code WHEN '' THEN 'succeeded' ELSE 'failed' END, verdict.failure_code FROM verdict
ON CONFLICT (key) DO UPDATE SET request_count = sandbox_refunds.request_count + 1
RETURNING *
"""


@contextmanager
def _connection() -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Open the sandbox's own connection to the database that the product uses; each statement commits at once.

    It is opened for each call and not kept: the sandbox stands for a service elsewhere, and no process of ours should
    hold a second connection for it.
    """
    parameters = connections["default"].get_connection_params()
    wanted = ("dbname", "user", "password", "host", "port", "sslmode")
    try:
        connection = psycopg.connect(
            **{name: parameters[name] for name in wanted if parameters.get(name)},
            autocommit=True,
            connect_timeout=5,
            application_name=APPLICATION_NAME,
            row_factory=dict_row,
        )
    except psycopg.OperationalError as fault:
        raise ProviderUnavailable("The sandbox cannot be reached.", provider="sandbox") from fault
    try:
        with connection:
            yield connection
    except psycopg.OperationalError as fault:
        # The statement may have been carried out: what a provider's broken line means to any caller.
        raise AnswerUnknown("The line to the sandbox broke.", provider="sandbox") from fault


class SandboxProvider:
    """The embedded payment provider. Idempotent by key; stateful; behaves as the token says."""

    name = "sandbox"

    @outside.call(provider="sandbox", operation="charge")
    def charge(
        self, *, key: str, amount_minor: int, currency: str, payment_method: str, metadata: Mapping[str, str]
    ) -> ChargeResult:
        """Charge as the port says; see BEHAVIOURS for what each `payment_method` token does."""
        behaviour = BEHAVIOURS.get(payment_method, UNKNOWN_TOKEN)
        if behaviour.is_unavailable:
            raise ProviderUnavailable("The sandbox plays dead for this payment method.", provider=self.name)
        with _connection() as connection:
            if behaviour.is_lost_before and self._is_first_request(connection, key):
                raise AnswerUnknown("The sandbox lost the request.", provider=self.name)
            time.sleep(behaviour.slow_seconds)
            row = connection.execute(
                _CHARGE,
                {
                    "key": key,
                    "reference": f"sandbox_ch_{new_id().hex}",
                    "payment_method": payment_method,
                    "amount_minor": amount_minor,
                    "currency": currency,
                    "status": "failed" if behaviour.decline_code else "succeeded",
                    "decline_code": behaviour.decline_code,
                    "metadata": Jsonb(dict(metadata)),
                },
            ).fetchone()
            time.sleep(behaviour.slow_seconds)
        assert row is not None
        if behaviour.is_lost_after and row["request_count"] == 1:
            raise AnswerUnknown("The sandbox lost its answer.", provider=self.name)
        return _charge_result(row)

    @outside.call(provider="sandbox", operation="find_charge", is_repeatable=True)
    def find_charge(self, key: str) -> ChargeResult | None:
        """Return what became of the charge with our `key`, if it arrived."""
        with _connection() as connection:
            row = connection.execute("SELECT * FROM sandbox_charges WHERE key = %s", [key]).fetchone()
        return _charge_result(row) if row else None

    @outside.call(provider="sandbox", operation="refund")
    def refund(
        self, *, key: str, charge_reference: str, amount_minor: int, currency: str, metadata: Mapping[str, str]
    ) -> RefundResult:
        """Give back a part of a charge; never more than was charged, whatever we ask for."""
        with _connection() as connection:
            charge = connection.execute(
                "SELECT payment_method FROM sandbox_charges WHERE reference = %s", [charge_reference]
            ).fetchone()
            if charge is None:
                return RefundResult(
                    key, "", charge_reference, ResultStatus.FAILED, amount_minor, currency, "charge_not_found"
                )
            behaviour = BEHAVIOURS.get(charge["payment_method"], UNKNOWN_TOKEN)
            time.sleep(behaviour.slow_seconds)
            row = connection.execute(
                _REFUND,
                {
                    "key": key,
                    "reference": f"sandbox_re_{new_id().hex}",
                    "charge_reference": charge_reference,
                    "amount_minor": amount_minor,
                    "currency": currency,
                    "failure_code": behaviour.refund_failure_code,
                },
            ).fetchone()
            time.sleep(behaviour.slow_seconds)
        assert row is not None
        if behaviour.is_refund_lost_after and row["request_count"] == 1:
            raise AnswerUnknown("The sandbox lost its answer.", provider=self.name)
        return _refund_result(row)

    @outside.call(provider="sandbox", operation="find_refund", is_repeatable=True)
    def find_refund(self, key: str) -> RefundResult | None:
        """Return what became of the refund with our `key`, if it arrived."""
        with _connection() as connection:
            row = connection.execute("SELECT * FROM sandbox_refunds WHERE key = %s", [key]).fetchone()
        return _refund_result(row) if row else None

    def health(self) -> Health:
        """Say whether the sandbox's tables can be read."""
        try:
            with _connection() as connection:
                connection.execute("SELECT 1 FROM sandbox_charges LIMIT 1")
        except (ProviderUnavailable, psycopg.Error) as fault:
            return Health(False, str(fault))
        return Health(True, "embedded sandbox")

    @staticmethod
    def _is_first_request(connection: psycopg.Connection[dict[str, Any]], key: str) -> bool:
        row = connection.execute(
            "INSERT INTO sandbox_lost_requests (key) VALUES (%s) ON CONFLICT DO NOTHING RETURNING key", [key]
        ).fetchone()
        return row is not None


def _charge_result(row: dict[str, Any]) -> ChargeResult:
    code = row["decline_code"]
    return ChargeResult(
        key=row["key"],
        reference=row["reference"],
        status=ResultStatus(row["status"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        decline_code=code,
        message=DECLINES.get(code, "The payment method is not known." if code else ""),
    )


def _refund_result(row: dict[str, Any]) -> RefundResult:
    return RefundResult(
        key=row["key"],
        reference=row["reference"],
        charge_reference=row["charge_reference"],
        status=ResultStatus(row["status"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        failure_code=row["failure_code"],
    )
