"""What payments and refunds share: a step outside that is persisted, leased, carried out, and asked for when its answer
was lost.

The intent commits with a lease. Whoever holds the lease asks the provider; nobody else does meanwhile. When the holder
is killed the lease runs out, and the next one (the same request sent again, or the sweep of each minute) asks the
provider what became of the key before it asks for anything new. Leases are read from the real clock, never from the
moment that a rule was given: a renewal with a moved clock must not lease into the future.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import IntegrityError, transaction

from billing.models.payments import Transfer
from billing.money_states import PAYMENT, Machine
from billing.providers.base import ChargeResult, RefundResult
from core import clock
from core.errors import IdempotencyReused, ProviderAnswerInvalid, ProviderUnavailable, RequestInProgress

_T = TypeVar("_T", bound=Transfer)
_R = TypeVar("_R", ChargeResult, RefundResult)

LEASE = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(hours=1)
_SETTLED = (
    "status",
    "provider_reference",
    "failure_code",
    "failure_message",
    "succeeded_at",
    "failed_at",
    "lease_until",
)


@contextmanager
def one_for_each_key() -> Iterator[None]:
    """Around what writes a row with an `operation_key`: of two equal requests at the same moment the database lets one
    in, and the other raises RequestInProgress."""
    try:
        yield
    except IntegrityError as fault:
        if "operation_key" not in str(fault):
            raise
        raise RequestInProgress("The same request is still running.") from fault


def lease(transfer: Transfer) -> None:
    """Take the transfer for one attempt (of a row that is locked or not yet written)."""
    transfer.attempt_count += 1
    transfer.lease_until = clock.now() + LEASE


def is_leased(transfer: Transfer) -> bool:
    """Whether somebody asks the provider just now, or it is too early to ask again."""
    return transfer.lease_until is not None and transfer.lease_until > clock.now()


def resume(transfer: _T, *, is_same_request: bool) -> _T:
    """Return the operation that a key made before: settled as it is, in flight leased to the caller (locked row).

    Raises IdempotencyReused when the request is another one, RequestInProgress while somebody else asks the provider.
    """
    if not is_same_request:
        raise IdempotencyReused("This key was used for another request.")
    if transfer.is_in_flight:
        if is_leased(transfer):
            assert transfer.lease_until is not None
            seconds = max(1, int((transfer.lease_until - clock.now()).total_seconds()) + 1)
            raise RequestInProgress(
                "The provider is being asked; its answer is not known yet.", headers={"Retry-After": str(seconds)}
            )
        lease(transfer)
        transfer.save(update_fields=["attempt_count", "lease_until"])
    return transfer


def claim(transfer: _T) -> _T | None:
    """Lease a transfer that is in flight and that nobody has; None when there is nothing to do. Commits at once."""
    with transaction.atomic():
        locked = transfer.refreshed_for_update()
        if not locked.is_in_flight or is_leased(locked):
            return None
        lease(locked)
        locked.save(update_fields=["attempt_count", "lease_until"])
        return locked


def carry_out(
    transfer: _T,
    *,
    act: Callable[[], _R],
    find: Callable[[], _R | None],
    write: Callable[[_R], _T],
    lost: Callable[[_T], None] = lambda transfer: None,
) -> _T:
    """Let the provider act (`act`) or say what became of it (`find`), with no transaction open; `write` its answer, or
    note that it was lost (`lost` is called in that transaction, the first time). Raises ProviderAnswerInvalid when it
    speaks of something else than it was asked for."""
    answer = _ask(transfer, act, find)
    if answer is None:
        return lose_answer(transfer, lost)
    asked_for = (transfer.public_id, transfer.amount_minor, transfer.currency)
    if (answer.key, answer.amount_minor, answer.currency) != asked_for:
        lose_answer(transfer, lost)
        noun = str(transfer._meta.verbose_name)
        error = ProviderAnswerInvalid(f"The provider speaks of another {noun} than the one asked for.")
        error.extra[noun] = transfer.public_id
        raise error
    return write(answer)


def _ask(transfer: Transfer, act: Callable[[], _R], find: Callable[[], _R | None]) -> _R | None:
    """A first attempt acts, and asks when the answer is lost. A later one asks first, and acts again, under the same
    key, only when the provider knows nothing of it. None when it cannot be known now."""
    if transfer.attempt_count == 1:
        return _answer(act) or _answer(find)
    return _answer(find) or _answer(act)


def _answer(call: Callable[[], _R | None]) -> _R | None:
    try:
        return call()
    except (ProviderUnavailable, ProviderAnswerInvalid):
        return None


def settle(
    transfer: Transfer, *, answer: ChargeResult | RefundResult, code: str, machine: Machine, now: datetime
) -> None:
    """Save on the locked row what the provider answered; `code` says why it failed."""
    transfer.provider_reference, transfer.lease_until = answer.reference, None
    if answer.is_success:
        transfer.status, transfer.succeeded_at = machine.target(transfer, "succeed"), now
    else:
        transfer.status, transfer.failed_at = machine.target(transfer, "fail"), now
        transfer.failure_code, transfer.failure_message = code, _plain(answer.message)
    transfer.save(update_fields=_SETTLED)


def _plain(words: str) -> str:
    """Return what a provider said as plain text, at most 300 characters: some send HTML entities (`&#39;`)."""
    return " ".join(html.unescape(words).replace("\x00", "").split())[:300]


def lose_answer(transfer: _T, lost: Callable[[_T], None]) -> _T:
    """Note that the provider's answer is not known, and when to ask again: 1, 2, 4 … minutes, at most an hour."""
    with transaction.atomic():
        locked = transfer.refreshed_for_update()
        if locked.is_in_flight and locked.attempt_count == transfer.attempt_count:
            before, locked.status = locked.status, PAYMENT.target(locked, "lose_answer")
            wait = timedelta(minutes=2 ** min(locked.attempt_count - 1, 6))
            locked.lease_until = clock.now() + min(wait, _LONGEST_WAIT)
            locked.save(update_fields=["status", "lease_until"])
            if locked.status != before:
                lost(locked)
        return locked
