"""What must hold of PostgreSQL after any fault: effects are counted, not attempts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from audit.models import Event, Position, Unsealed
from audit.services.verification import verify
from billing.models import Invoice, InvoiceLine, LedgerEntry, Payment, Subscription
from billing.money_states import IN_FLIGHT
from billing.selectors import ledger as books
from core.models import Job, JobState

OPEN_JOBS = (JobState.QUEUED, JobState.RUNNING)


def is_drained() -> bool:
    """Whether nothing is left to be done: no job open, no payment without its answer, no event unsealed."""
    return not (
        Job.objects.filter(state__in=OPEN_JOBS).exists()
        or Payment.objects.filter(status__in=IN_FLIGHT).exists()
        or Unsealed.objects.exists()
    )


def left_over() -> dict[str, Any]:
    """Return what is not done, for the message of a test that waited in vain."""
    return {
        "jobs": list(
            Job.objects.filter(state__in=OPEN_JOBS).values(
                "kind", "state", "attempts", "run_at", "lease_until", "published_at", "error"
            )[:5]
        ),
        "payments": list(Payment.objects.filter(status__in=IN_FLIGHT).values("status", "lease_until")[:5]),
        "unsealed": Unsealed.objects.count(),
    }


def check_everything() -> None:
    """Raise AssertionError when anything was lost, done twice, or done by half."""
    check_jobs()
    check_money()
    check_invoices()
    check_events()


def check_jobs() -> None:
    """Every job was done: none waits, none runs for ever, none died."""
    assert set(Job.objects.values_list("state", flat=True)) <= {"succeeded"}, list(
        Job.objects.exclude(state="succeeded").values("kind", "state", "attempts", "error")[:5]
    )


def check_money() -> None:
    """One charge, one ledger entry of two legs and one event for each payment; the books balance."""
    payments = {payment.public_id: payment for payment in Payment.objects.all()}
    assert {payment.status for payment in payments.values()} <= {"succeeded", "failed"}
    assert _charges() == Counter((key, payment.status, payment.amount_minor) for key, payment in payments.items())
    succeeded = Counter(payment.pk for payment in payments.values() if payment.status == "succeeded")
    failed = Counter(payment.pk for payment in payments.values() if payment.status == "failed")
    entries = LedgerEntry.objects.filter(entry_type="payment_succeeded")
    assert Counter(entries.values_list("source_id", flat=True)) == succeeded
    assert Counter(entries.values_list("legs__entry", flat=True)) == dict.fromkeys(entries.values_list(flat=True), 2)
    assert _subjects("billing.payment.succeeded") == succeeded
    assert _subjects("billing.payment.failed") == failed
    assert list(books.findings()) == []


def check_invoices() -> None:
    """One invoice for each subscription and period, one event for each, numbers without gaps, nothing paid twice."""
    invoices = Invoice.objects.all()
    lines = InvoiceLine.objects.values_list("subscription_id", "period_start")
    assert len(lines) == len(set(lines)) == invoices.count()
    assert _subjects("billing.invoice.finalized") == Counter(invoices.values_list("pk", flat=True))
    paid = invoices.filter(status="paid")
    assert _subjects("billing.invoice.paid") == Counter(paid.values_list("pk", flat=True))
    successes = Payment.objects.filter(status="succeeded").values_list("allocations__invoice", flat=True)
    assert Counter(successes) == Counter(paid.values_list("pk", flat=True))
    for entity in set(invoices.values_list("billing_entity", flat=True)):
        numbers = sorted(invoices.filter(billing_entity=entity).values_list("sequence", flat=True))
        assert numbers == list(range(1, len(numbers) + 1))
    renewed = invoices.filter(reason="subscription_cycle").values_list("lines__subscription", flat=True)
    assert _subjects("billing.subscription.renewed") == Counter(renewed)


def check_events() -> None:
    """Every event has one place in a dense order, and the log is what was sealed."""
    assert not Unsealed.objects.exists()
    positions = sorted(Position.objects.values_list("position", flat=True))
    assert positions == list(range(positions[0], positions[0] + Event.objects.count()))
    assert set(Position.objects.values_list("event_id", flat=True)) == set(Event.objects.values_list("pk", flat=True))
    report = verify()
    assert report.is_sound, report.faults
    assert report.size == len(positions)
    created = set(_subjects("billing.subscription.created")) | set(_subjects("billing.subscription.imported"))
    assert created <= set(Subscription.objects.values_list("pk", flat=True))


def _charges() -> Counter[tuple[str, str, int]]:
    """What the provider says that it took or declined."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, status, amount_minor FROM sandbox_charges")
        return Counter(cursor.fetchall())


def _subjects(event_type: str) -> Counter[Any]:
    return Counter(Event.objects.filter(type=event_type).values_list("subject_id", flat=True))
