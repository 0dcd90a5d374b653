"""Figures over time: they end where the metrics are, and leave out what nobody knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.selectors import series
from billing.selectors.metrics import metrics
from billing.services import payments
from core.actor import SYSTEM
from tests.billing import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 31, 9, 0, tzinfo=UTC)


def test_lists_months_over_the_turn_of_a_year():
    months = series.months_until(datetime(2026, 2, 1, tzinfo=UTC), 4)
    assert months == (date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1))


def test_counts_revenue_back_from_the_present_figure():
    dear, cheap = factories.price(amount_minor=5000), factories.price(amount_minor=1200, interval="year")
    factories.subscription(factories.customer(), dear, start=datetime(2026, 2, 10, tzinfo=UTC))
    factories.subscription(factories.customer(), cheap, start=datetime(2024, 1, 1, tzinfo=UTC))
    factories.subscription(
        factories.customer(), dear, start=datetime(2025, 1, 1, tzinfo=UTC), status="canceled",
        ended_at=datetime(2026, 3, 2, tzinfo=UTC), canceled_at=datetime(2026, 3, 2, tzinfo=UTC),
    )  # fmt: skip
    found = series.revenue_by_month(now=NOW, months=3)["USD"]
    assert found.values == (5100, 10100, 5100)
    assert found.values[-1] == metrics(now=NOW).monthly_recurring_revenue[0].minor


def test_leaves_out_an_end_that_nobody_knows():
    factories.subscription(
        factories.customer(), start=datetime(2026, 1, 5, tzinfo=UTC), status="canceled", is_end_known=False
    )
    assert series.revenue_by_month(now=NOW, months=3) == {}
    assert series.started_by_month(now=NOW, months=3).values == (0, 0, 0)
    assert series.ended_by_month(now=NOW, months=3).values == (0, 0, 0)


def test_counts_what_began_and_ended_by_month():
    factories.subscription(factories.customer(), start=datetime(2026, 2, 28, 23, 59, tzinfo=UTC))
    factories.subscription(factories.customer(), start=datetime(2026, 3, 1, tzinfo=UTC))
    factories.subscription(factories.customer(), start=datetime(2026, 3, 2, tzinfo=UTC), status="incomplete")
    assert series.started_by_month(now=NOW, months=2).values == (1, 1)


def test_counts_payments_by_the_day_on_which_they_settled():
    for token, days in (("tok_success", 0), ("tok_success", 2), ("tok_card_declined", 2)):
        invoice = factories.invoice(factories.customer(token=token))
        payments.create(actor=SYSTEM, invoice=invoice, operation_key=str(invoice.pk), now=NOW - timedelta(days=days))
    found = series.payments_by_day(now=NOW, days=3)
    assert (found.succeeded, found.failed) == ((1, 0, 1), (1, 0, 0))
    assert series.failed_payments(since=NOW - timedelta(days=7)) == 1
    assert series.failed_payments(since=NOW - timedelta(days=1)) == 0
