"""Make demo data in an empty database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from billing.models import Customer, Invoice, Payment, Subscription
from billing.services import demo
from core import clock
from core.telemetry.queries import in_bulk


class Command(BaseCommand):
    help = (
        "Make a small company with customers, subscriptions, invoices and payments, when the database is empty; "
        "otherwise nothing happens. Exit code 0."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not demo.is_needed():
            self.stdout.write("There is data already: no demo data were made.")
            return
        with in_bulk():
            for step in demo.make(now=clock.now()):
                self.stdout.write(f"  {step} ...")
        self.stdout.write(
            f"{Customer.objects.count()} customers, {Subscription.objects.count()} subscriptions, "
            f"{Invoice.objects.count()} invoices, {Payment.objects.count()} payments."
        )
