"""Checks of the database look at the real tables, whatever temporary ones their caller has."""

from django.db import migrations

from core.migration_operations import PinSearchPath


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_payments_by_moment")]

    operations = [
        PinSearchPath("billing_ledger_balance()"),
        PinSearchPath("billing_invoice_line_frozen()"),
        PinSearchPath("billing_price_guard()"),
    ]
