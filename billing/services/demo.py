"""Demo data: a small company with a past, made by the services that real data go through."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta

from accounts.models import Organization
from accounts.services import memberships, organizations, users
from billing.models import BillingEntity, Customer, Price, Subscription
from billing.services import (
    billing_entities,
    customers,
    invoices,
    lifecycle,
    payments,
    prices,
    products,
    renewals,
    subscribing,
    subscriptions,
)
from billing.services.beginnings import Line
from billing.states import Status
from core.access import Role
from core.actor import SYSTEM
from core.ids import new_id
from core.money import Money

# Name, amounts a month in USD and EUR (minor units), days of trial.
_PLANS = (("Starter", 1900, 1800, 14), ("Team", 4900, 4500, 14), ("Business", 14900, 13900, 0))
_ORGANIZATIONS = (("Northwind Traders", "USD"), ("Contoso Labs", "USD"), ("Fabrikam Werke", "EUR"))
_FIRST = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Linus", "Margaret", "Dennis")
_LAST = ("Weber", "Okafor", "Nguyen", "Silva", "Novak", "Haddad", "Larsen", "Kim", "Moreau", "Rossi")
_PAST = timedelta(days=48)


def is_needed() -> bool:
    """Whether the database holds no business yet."""
    return not BillingEntity.objects.exists() and not Customer.objects.exists()


def make(*, now: datetime) -> Iterator[str]:
    """Make the demo company, as it would stand at `now`; yields what is being done. Events: those of its services."""
    chance = random.Random(7)  # noqa: S311  # the same company each time
    yield "Setting up who sells, products and prices"
    entity = billing_entities.create(
        actor=SYSTEM,
        legal_name="Countinghouse Demo Inc.",
        country="US",
        default_currency="USD",
        invoice_prefix="DEMO",
    )
    catalogue = _catalogue()
    yield "Inviting three organisations and their people"
    buyers = [_organization(name) for name, _ in _ORGANIZATIONS]
    yield "Forty customers subscribe and pay"
    made = []
    for number in range(40):
        place = number % len(buyers)
        currency = _ORGANIZATIONS[place][1]
        customer = _customer(entity, buyers[place], number, currency)
        is_failing = number % 9 == 8
        days = 40 if is_failing else chance.randrange(1, _PAST.days)
        started = now - timedelta(days=days, hours=chance.randrange(24))
        made.append(_subscription(customer, catalogue[currency], number, started))
        if is_failing:
            _pays_by(customer, "tok_expired_card", "Visa 0002")
    yield "Time passes: renewals, and payments that fail"
    for subscription in made:
        _live_until(subscription, now)
    yield "Some change their mind"
    _change_minds(made, catalogue, now)


def _catalogue() -> dict[str, list[Price]]:
    found: dict[str, list[Price]] = {"USD": [], "EUR": []}
    for name, dollars, euros, trial_days in _PLANS:
        product = products.create(actor=SYSTEM, name=name, description=f"Everything a {name.lower()} customer needs.")
        for currency, minor in (("USD", dollars), ("EUR", euros)):
            key = f"{name}-{currency}".lower()
            monthly = prices.create(
                actor=SYSTEM,
                product=product,
                money=Money(minor, currency),
                trial_days=trial_days,
                lookup_key=f"{key}-month",
            )
            yearly = Money(minor * 10, currency)
            prices.create(actor=SYSTEM, product=product, money=yearly, interval="year", lookup_key=f"{key}-year")
            found[currency].append(monthly)
    return found


def _organization(name: str) -> Organization:
    domain = f"{name.split()[0].lower()}.example"
    owner = users.create(actor=SYSTEM, email=f"owner@{domain}", password=secrets.token_urlsafe(), name=f"{name} Owner")
    made = organizations.create(actor=SYSTEM, name=name, billing_email=f"billing@{domain}", owner=owner)
    member = users.create(actor=SYSTEM, email=f"member@{domain}", password=secrets.token_urlsafe(), name="A Member")
    memberships.create(actor=SYSTEM, organization=made, user=member, role=Role.MEMBER)
    return made


def _customer(entity: BillingEntity, organization: Organization, number: int, currency: str) -> Customer:
    first, last = _FIRST[number % 10], _LAST[(number // 4 + number) % 10]
    customer = customers.create(
        actor=SYSTEM,
        organization=organization,
        billing_entity=entity,
        name=f"{first} {last}",
        email=f"{first}.{last}.{number}@example.com".lower(),
        currency=currency,
        time_zone="Europe/Berlin" if currency == "EUR" else "America/New_York",
    )
    token = "tok_insufficient_funds" if number % 13 == 12 else "tok_success"
    _pays_by(customer, token, f"Visa {4242 + number}")
    return customer


def _pays_by(customer: Customer, token: str, label: str) -> None:
    customers.add_payment_method(actor=SYSTEM, customer=customer, provider_reference=token, label=label)
    customer.refresh_from_db()


def _subscription(customer: Customer, offered: list[Price], number: int, started: datetime) -> Subscription:
    return subscribing.subscribe(
        actor=SYSTEM,
        customer=customer,
        lines=[Line(offered[number % len(offered)], 1 + number % 4)],
        trial_days=None if number % 5 == 0 else 0,
        operation_key=f"demo:{new_id()}",
        now=started,
    )


def _live_until(subscription: Subscription, now: datetime) -> None:
    """Renew and collect as the worker would have done, each at its moment."""
    if subscription.status == Status.INCOMPLETE:
        if subscription.started_at < now - timedelta(days=30):
            moment = subscription.started_at + timedelta(days=1)
            invoices.void_unpaid(subscription=subscription, reason="The first payment never came.", now=moment)
            lifecycle.expire_incomplete(actor=SYSTEM, subscription=subscription, now=moment)
        return
    while subscription.current_period_end <= now:
        moment = subscription.current_period_end
        invoice = renewals.renew(actor=SYSTEM, subscription=subscription, period_end=moment, now=moment)
        if invoice is not None:
            payments.collect(actor=SYSTEM, invoice=invoice, attempt=1, now=moment)
        subscription.refresh_from_db()


def _change_minds(made: list[Subscription], catalogue: dict[str, list[Price]], now: datetime) -> None:
    """Bring some into each other state there is."""
    active = [subscription for subscription in made if subscription.status == Status.ACTIVE]
    leaving, gone, paused, suspended, growing = (active[n::10][:2] for n in range(5))
    for each in leaving:
        subscriptions.cancel(actor=SYSTEM, subscription=each, now=now, reason="Switching to something else")
    for each in gone:
        subscriptions.cancel(actor=SYSTEM, subscription=each, now=now, at_period_end=False, reason="Out of business")
    for each in paused:
        subscriptions.pause(actor=SYSTEM, subscription=each, now=now, reason="Closed for the season")
    for each in suspended[:1]:
        subscriptions.suspend(actor=SYSTEM, subscription=each, now=now, reason="Chargeback under review")
    for each in growing:
        dearest = catalogue[each.currency][-1]
        if dearest.pk != each.items.get().price_id:
            subscriptions.change_plan(actor=SYSTEM, subscription=each, price=dearest, now=now)
    customer = made[0].customer
    subscriptions.create(
        actor=SYSTEM,
        customer=customer,
        lines=[Line(catalogue[customer.currency][1])],
        now=now,
        starts_at=now + timedelta(days=10),
        trial_days=0,
    )
