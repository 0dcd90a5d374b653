"""The demo company."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from billing.models import Customer, Invoice, Payment, Subscription


@pytest.mark.django_db(transaction=True)
def test_makes_a_company_with_a_past_once(capsys: Any) -> None:
    call_command("demo")
    statuses = set(Subscription.objects.values_list("status", flat=True))
    assert {"active", "trialing", "past_due", "paused", "canceled", "scheduled"} <= statuses
    assert set(Customer.objects.values_list("currency", flat=True)) == {"USD", "EUR"}
    assert Customer.objects.values("organization").distinct().count() == 3
    assert Payment.objects.filter(status="succeeded").exists()
    before = Customer.objects.count(), Invoice.objects.count()
    call_command("demo")
    assert (Customer.objects.count(), Invoice.objects.count()) == before
    assert "data already" in capsys.readouterr().out
