"""The port to whoever moves the money.

Every call carries a `key` of ours. A provider does at most one thing for a key: the same call again returns the first
answer, and `find_charge` and `find_refund` tell what became of it. A decline is an answer (`status` failed); only what
leaves us without an answer is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from core.errors import ProviderUnavailable


class AnswerUnknown(ProviderUnavailable):
    """The call went out and no answer came back: the provider may have acted or not. Ask it, never guess."""

    code, title = "provider_answer_unknown", "The provider's answer was lost"


class ResultStatus(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ChargeResult:
    """What became of a charge. `decline_code` is ours (docs/reference/sandbox.md); `message` the provider's words."""

    key: str
    reference: str
    status: ResultStatus
    amount_minor: int
    currency: str
    decline_code: str = ""
    message: str = ""

    @property
    def is_success(self) -> bool:
        return self.status is ResultStatus.SUCCEEDED


@dataclass(frozen=True, slots=True)
class RefundResult:
    """What became of a refund of the charge `charge_reference`."""

    key: str
    reference: str
    charge_reference: str
    status: ResultStatus
    amount_minor: int
    currency: str
    failure_code: str = ""
    message: str = ""

    @property
    def is_success(self) -> bool:
        return self.status is ResultStatus.SUCCEEDED


@dataclass(frozen=True, slots=True)
class Health:
    is_healthy: bool
    detail: str = ""


class PaymentProvider(Protocol):
    """A payment provider. Amounts are in minor units of `currency` (ISO 4217)."""

    name: str

    def charge(
        self, *, key: str, amount_minor: int, currency: str, payment_method: str, metadata: Mapping[str, str]
    ) -> ChargeResult:
        """Charge a payment method, at most once for `key`. Raises AnswerUnknown, ProviderUnavailable."""

    def find_charge(self, key: str) -> ChargeResult | None:
        """Return what became of the charge with our `key`; None when the provider knows none."""

    def refund(
        self, *, key: str, charge_reference: str, amount_minor: int, currency: str, metadata: Mapping[str, str]
    ) -> RefundResult:
        """Give back a part of a charge, at most once for `key`. Raises AnswerUnknown, ProviderUnavailable."""

    def find_refund(self, key: str) -> RefundResult | None:
        """Return what became of the refund with our `key`; None when the provider knows none."""

    def health(self) -> Health:
        """Say whether the provider can be reached."""
