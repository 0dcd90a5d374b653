"""The books. Other services post here, inside their own transaction; entries are never changed, only answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from django.db.models import Q

from billing.models import AccountCode, LedgerAccount, LedgerEntry, LedgerLeg
from core import context
from core.models import Entity
from core.money import Money

_Key: TypeAlias = tuple[str, str, UUID | None, str]


class UnbalancedEntry(ValueError):
    """The legs do not sum to zero in each currency: a fault of the caller, not of a person."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One side of an entry: `money` is a debit when positive, a credit when negative. Receivable and customer credit
    are kept per customer, cash clearing per provider."""

    code: AccountCode
    money: Money
    customer_id: UUID | None = None
    provider: str = ""

    @property
    def key(self) -> _Key:
        return (str(self.code), self.money.currency, self.customer_id, self.provider)


def post(
    *, entry_type: str, source: Entity, billing_entity_id: UUID, legs: Sequence[Leg], occurred_at: datetime
) -> LedgerEntry:
    """Write one entry about `source` with its legs; legs of nothing are left out.

    The database refuses a second entry of the same type about the same object, and at commit an entry that does not
    balance. Raises UnbalancedEntry before it comes to that.
    """
    legs = [leg for leg in legs if leg.money]
    check_balance(legs)
    accounts = _accounts(billing_entity_id, {leg.key for leg in legs})
    entry = LedgerEntry.objects.create(
        billing_entity_id=billing_entity_id,
        entry_type=str(entry_type),
        source_type=str(source._meta.model_name),
        source_id=source.pk,
        occurred_at=occurred_at,
        command_id=context.current().command_id,
    )
    LedgerLeg.objects.bulk_create(
        LedgerLeg(entry=entry, account_id=accounts[leg.key], currency=leg.money.currency, amount_minor=leg.money.minor)
        for leg in legs
    )
    return entry


def check_balance(legs: Iterable[Leg]) -> None:
    """Raise UnbalancedEntry unless there are legs and they sum to zero in each currency."""
    sums: Counter[str] = Counter()
    for leg in legs:
        sums[leg.money.currency] += leg.money.minor
    if not sums:
        raise UnbalancedEntry("An entry needs legs.")
    faulty = {currency: minor for currency, minor in sums.items() if minor}
    if faulty:
        raise UnbalancedEntry(f"The legs do not balance: {faulty}.")


def _accounts(billing_entity_id: UUID, keys: set[_Key]) -> dict[_Key, UUID]:
    """Return the ids of the accounts, which are opened when they are first needed (in one order, so that two writers
    who open the same accounts never wait for each other in a circle)."""
    found = _find(billing_entity_id, keys)
    missing = [
        LedgerAccount(
            billing_entity_id=billing_entity_id, code=code, currency=currency, customer_id=customer, provider=provider
        )
        for code, currency, customer, provider in sorted((key for key in keys if key not in found), key=str)
    ]
    if not missing:
        return found
    # Another writer may open the same ones at this moment: whose rows they are is known by asking once more.
    LedgerAccount.objects.bulk_create(missing, ignore_conflicts=True)
    return _find(billing_entity_id, keys)


def _find(billing_entity_id: UUID, keys: set[_Key]) -> dict[_Key, UUID]:
    customers = {customer for _, _, customer, _ in keys if customer is not None}
    rows = LedgerAccount.objects.filter(
        Q(customer__isnull=True) | Q(customer__in=customers),
        billing_entity_id=billing_entity_id,
        code__in={code for code, *_ in keys},
        currency__in={currency for _, currency, *_ in keys},
    ).values_list("code", "currency", "customer_id", "provider", "pk")
    return {(code, currency, customer, provider): pk for code, currency, customer, provider, pk in rows}
