"""Compare the books with what they were made from."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from billing.selectors import ledger


class Command(BaseCommand):
    help = (
        "Compare the books with invoices, payments and refunds: balanced entries, everything posted in full, paid and "
        "refunded amounts, numbers without gaps. Exit code 0: all is well; 1: something is not."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON document.")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(ledger.findings())
        balances = ledger.trial_balance()
        totals = ledger.totals()
        if options["json"]:
            document = {
                "is_balanced": not findings and not any(totals.values()),
                "balances": [
                    {"code": row.code, "currency": row.currency, "balance_minor": row.balance_minor} for row in balances
                ],
                "findings": [
                    {"check": finding.check, "id": finding.id, "detail": finding.detail} for finding in findings
                ],
            }
            self.stdout.write(json.dumps(document, indent=2))
        else:
            for row in balances:
                self.stdout.write(f"{row.code:<16} {row.currency} {row.balance_minor:>20}")
            for finding in findings:
                self.stdout.write(self.style.ERROR(f"{finding.check}: {finding.id} {finding.detail}"))
            self.stdout.write("Something is wrong." if findings else "All is well.")
        if findings or any(totals.values()):
            sys.exit(1)
