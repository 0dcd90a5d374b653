"""The business figures: exact, per currency, and only what counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Subscription
from billing.selectors import metrics
from core.money import Money
from tests.billing import factories

NOW = datetime(2026, 6, 30, tzinfo=UTC)


@pytest.mark.django_db
def test_sums_exactly_and_rounds_once_per_currency() -> None:
    customer = factories.customer()
    for _ in range(3):
        factories.subscription(customer, factories.price(amount_minor=1000, interval="year"))
    assert metrics.monthly_recurring_revenue() == [Money(250, "USD")]  # 3 x 83.33..., not 3 x 83


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("interval", "count", "minor", "expected"),
    [
        ("year", 1, 1200, 100),
        ("month", 3, 300, 100),
        ("week", 1, 300, 1300),
        ("day", 1, 12, 365),
        ("week", 2, 300, 650),
    ],
)
def test_counts_each_interval_by_its_share_of_a_month(interval: str, count: int, minor: int, expected: int) -> None:
    price = factories.price(amount_minor=minor, interval=interval, interval_count=count)
    factories.subscription(factories.customer(), price)
    assert metrics.monthly_recurring_revenue() == [Money(expected, "USD")]


@pytest.mark.django_db
def test_counts_the_active_and_the_past_due_only() -> None:
    customer = factories.customer()
    for status in ("active", "past_due", "trialing", "paused", "unpaid", "incomplete", "scheduled"):
        factories.subscription(customer, factories.price(amount_minor=100), status=status)
    found = metrics.metrics(now=NOW)
    assert found.monthly_recurring_revenue == [Money(200, "USD")]
    assert (found.active_subscriptions, found.active_customers) == (2, 1)
    assert found.subscriptions_by_status["trialing"] == 1


@pytest.mark.django_db
def test_keeps_currencies_and_billing_entities_apart() -> None:
    first, second = factories.entity(), factories.entity()
    factories.subscription(factories.customer(billing_entity=first), factories.price(amount_minor=100))
    factories.subscription(
        factories.customer(billing_entity=second, currency="EUR"), factories.price(amount_minor=50, currency="EUR")
    )
    assert metrics.monthly_recurring_revenue() == [Money(50, "EUR"), Money(100, "USD")]
    assert metrics.monthly_recurring_revenue(second.pk) == [Money(50, "EUR")]


@pytest.mark.django_db
def test_leaves_unknown_ends_out_of_churn() -> None:
    customer, long_ago = factories.customer(), NOW - timedelta(days=100)
    for _ in range(3):
        factories.subscription(customer, start=long_ago)
    factories.subscription(customer, start=long_ago, status="canceled", ended_at=NOW - timedelta(days=3))
    factories.subscription(customer, start=long_ago, status="canceled", ended_at=NOW - timedelta(days=60))
    factories.subscription(customer, start=long_ago, status="canceled", is_end_known=False)
    factories.subscription(customer, start=NOW - timedelta(days=2))
    found = metrics.churn(NOW)
    assert (found.ended, found.at_start, found.rate) == (1, 4, Fraction(1, 4))


@pytest.mark.django_db
def test_shows_staff_the_figures(api: Any, staff: Any, owner: Any, customer: Any) -> None:
    factories.subscription(customer, factories.price(amount_minor=2985))
    reply = api(staff).get("/api/v1/billing/metrics")
    assert reply.status_code == 200, reply.content
    assert reply.json()["monthly_recurring_revenue"] == [{"amount_minor": 2985, "currency": "USD"}]
    assert reply.json()["active_subscriptions"] == 1
    assert api(owner).get("/api/v1/billing/metrics").status_code == 403
    assert api().get("/api/v1/billing/metrics").status_code == 401


@given(st.fractions(min_value=0, max_value=1, max_denominator=10**6))
def test_writes_a_rate_as_six_decimals(rate: Fraction) -> None:
    text = metrics.decimal_text(rate)
    assert text is not None
    assert len(text.split(".")[1]) == 6
    assert abs(Fraction(text) - rate) <= Fraction(1, 2 * 10**6)


@pytest.mark.django_db
def test_counts_a_subscription_for_the_entity_that_sold_it_for_ever() -> None:
    ours, theirs = factories.customer(), factories.customer()
    running = factories.subscription(ours, factories.price(amount_minor=1000))
    unnamed = factories.subscription(theirs, factories.price(amount_minor=500), billing_entity_id=None)
    unnamed.refresh_from_db()
    assert unnamed.billing_entity_id == theirs.billing_entity_id, "an older release does not know the column"
    assert metrics.monthly_recurring_revenue(ours.billing_entity_id) == [Money(1000, "USD")]
    assert metrics.metrics(now=NOW, billing_entity_id=theirs.billing_entity_id).active_subscriptions == 1
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        Subscription.objects.filter(pk=running.pk).update(billing_entity_id=theirs.billing_entity_id)
