"""The first real day of work: a telecom company's customers come in, are billed a month later, and somebody at the desk
helps one of them.

In the ordinary run over a made-up file in the shape of theirs, with its traps; over the company's own file when the
variable COUNTINGHOUSE_TELCO_CSV names it.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from django.db.models import Count, Sum

from accounts.models import User
from audit.models import Event, Position
from billing.models import Customer, Invoice, InvoiceLine, Payment, Subscription
from billing.services import payments, renewals
from core.actor import SYSTEM
from search.selectors.state import state
from tests.cast import PASSWORD
from tests.support import browser
from tests.support.processes import Processes

MAPPING = "docs/examples/telco.mapping.yaml"
HEADER = (
    "customerID,gender,SeniorCitizen,Partner,Dependents,tenure,PhoneService,MultipleLines,InternetService,"
    "OnlineSecurity,OnlineBackup,DeviceProtection,TechSupport,StreamingTV,StreamingMovies,Contract,PaperlessBilling,"
    "PaymentMethod,MonthlyCharges,TotalCharges,Churn"
)
METHODS = ["Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)"]
TERMS = ["Month-to-month", "One year", "Two year"]
# The file speaks of today, where the company is: of an earlier day the relay's own schedule would renew by itself.
TODAY = datetime.now(ZoneInfo("America/New_York"))
AS_OF, A_MONTH_ON = TODAY.date().isoformat(), (TODAY + timedelta(days=31)).isoformat(timespec="seconds")
REASON = "Moved to fibre; agreed on the phone"

pytestmark = [pytest.mark.journey, pytest.mark.django_db(transaction=True)]


@dataclass(frozen=True)
class Expected:
    """What the file comes to, counted without the product."""

    rows: int
    good: int
    active: int
    minor: int
    without_total: int


def made_up(rows: int = 200) -> Iterator[str]:
    """Yield the lines of a file in the telecom company's shape: the two customers with whom theirs begins, one who has
    just joined (tenure 0, no total), amounts with one decimal or none, a quoted cell, and two lines that nobody can
    read."""
    yield HEADER
    for number in range(rows):
        name = ["7590-VHVEG", "5575-GNVDE"][number] if number < 2 else f"{1000 + number}-MADEU"
        amount = ["29.85", "56.95"][number] if number < 2 else str(Decimal(1825 + number * 37 % 10000) / 100)
        tenure = [1, 34][number] if number < 2 else number * 7 % 73
        total = " " if tenure == 0 else f"{Decimal(amount) * tenure}"
        left = "Yes" if number % 4 == 3 else "No"
        term = f'"{TERMS[number % 3]}"'
        method = METHODS[number % 4]
        yield f"{name},Female,0,Yes,No,{tenure}{',No' * 9},{term},Yes,{method},{amount},{total},{left}"
    yield f"8888-WRONG,Male,0,No,No,3{',No' * 9},One year,Yes,Mailed check,a lot,60.00,No"
    yield "9999-SHORT,Male,0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A copy of the company's own file, or of the made-up one."""
    target, given = tmp_path / "telco.csv", os.environ.get("COUNTINGHOUSE_TELCO_CSV")
    if given:
        shutil.copyfile(given, target)
    else:
        target.write_text("\r\n".join(made_up()) + "\r\n", newline="")
    return target


@pytest.fixture
def expected(file: Path) -> Expected:
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    good = [row for row in rows if row["MonthlyCharges"] and row["MonthlyCharges"][0].isdigit()]
    active = [row for row in good if row["Churn"] == "No"]
    minor = sum((Decimal(row["MonthlyCharges"]) * 100 for row in active), Decimal())
    without_total = sum(1 for row in rows if row["TotalCharges"] is not None and not row["TotalCharges"].strip())
    return Expected(len(rows), len(good), len(active), int(minor), without_total)


def import_into(processes: Processes, file: Path) -> dict[str, Any]:
    done = processes.run("import_customers", str(file), "--mapping", MAPPING, "--as-of", AS_OF, "--json")
    summary: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if summary["rejected"] else 0), done.stderr
    return summary


def figures(url: str, staff: User) -> dict[str, Any]:
    """What the API tells a staff member."""
    answer = httpx.post(f"{url}/api/v1/auth/login", json={"email": staff.email, "password": PASSWORD})
    token = answer.raise_for_status().json()["access_token"]
    reply = httpx.get(f"{url}/api/v1/billing/metrics", headers={"Authorization": f"Bearer {token}"})
    found: dict[str, Any] = reply.raise_for_status().json()
    return found


def renew_while_processes_die(processes: Processes, active: int) -> None:
    """Renew a month on through worker and relay, both killed when a third is done."""
    worker, relay = processes.worker(), processes.relay()
    renewal = processes.command("renew", "--now", A_MONTH_ON, "--wait", "--json")
    renewal.wait_until(lambda: Invoice.objects.count() > active // 3, "a third of the invoices", patience=1800)
    worker.kill()
    relay.kill()
    assert 0 < Invoice.objects.count() < active, "it was killed too late to prove anything"
    processes.worker()
    processes.relay()
    assert renewal.process.wait(timeout=3600) == 0, renewal.text
    result = json.loads(renewal.text.splitlines()[-1])
    assert (result["enqueued"], result["dead"], result["open"]) == (active, 0, 0)


def assert_everyone_is_billed_once(processes: Processes, expected: Expected) -> None:
    sums = Invoice.objects.aggregate(count=Count("id"), minor=Sum("total_minor"), paid=Sum("amount_paid_minor"))
    assert sums == {"count": expected.active, "minor": expected.minor, "paid": expected.minor}
    assert InvoiceLine.objects.values("subscription_id").distinct().count() == expected.active
    assert list(Invoice.objects.order_by("sequence").values_list("sequence", flat=True)) == list(
        range(1, expected.active + 1)
    )
    assert Payment.objects.filter(status="succeeded").count() == Payment.objects.count() == expected.active
    assert processes.run("ledger_check").returncode == 0
    processes.running[-1].wait_until(
        lambda: Position.objects.count() == Event.objects.count(), "the seal of every event", patience=300
    )
    assert processes.run("audit_verify").returncode == 0


def test_is_a_day_of_work_from_the_file_to_the_refund(
    processes: Processes, staff: User, file: Path, expected: Expected
) -> None:
    summary = import_into(processes, file)
    assert (summary["rows"], summary["created"], summary["active"]) == (expected.rows, expected.good, expected.active)
    assert summary["rejected"] == expected.rows - expected.good
    assert summary["empty_cells_of_ignored_columns"] == {"TotalCharges": expected.without_total}
    events = Event.objects.count()
    again = import_into(processes, file)
    assert (again["created"], again["unchanged"], Event.objects.count()) == (0, expected.good, events)

    web = processes.web()
    found = figures(web.url, staff)
    assert found["monthly_recurring_revenue"] == [{"amount_minor": expected.minor, "currency": "USD"}]
    assert (found["active_subscriptions"], found["active_customers"]) == (expected.active, expected.active)
    assert found["subscriptions_by_status"]["canceled"] == expected.good - expected.active
    assert found["churn"]["ended"] == 0  # when they left nobody knows

    renew_while_processes_die(processes, expected.active)
    assert_everyone_is_billed_once(processes, expected)


@pytest.mark.browser
@browser.needs_chromium
def test_is_helping_one_customer_at_the_desk(processes: Processes, staff: User, file: Path, expected: Expected) -> None:
    import_into(processes, file)
    web = processes.web()
    bill("7590-VHVEG")
    processes.relay().wait_until(
        lambda: state().behind == 0 and state().documents["customer"] == expected.good, "the index", patience=300
    )
    total = f"${Decimal(expected.minor) / 100:,.2f}"

    def way(page: Any, picture: browser.Picture) -> None:
        browser.sign_in(page, staff.email)
        page.wait_for_selector(f"text={total}")
        picture("day-1-dashboard")
        browser.ask_the_box(page, "7590-VHVEG")
        picture("day-2-box")
        page.keyboard.press("Enter")
        page.wait_for_selector("h1:has-text('7590-VHVEG')")
        picture("day-3-customer")
        customer = page.url

        browser.begin_plan_change(page, "$56.95", REASON)
        picture("day-4-change-plan")
        browser.confirm_plan_change(page)
        picture("day-5-subscription")

        page.goto(customer)
        page.click("section:has(h2:has-text('Payments')) a.ch-id")
        browser.begin_refund(page, "9.85", "Outage in March")
        picture("day-6-refund")
        browser.confirm_refund(page, "9.85")
        picture("day-7-payment")

        page.goto(customer.replace("/change/", "/history/"))
        for said in (REASON, "Outage in March", staff.email):
            page.wait_for_selector(f"text={said}")
        picture("day-8-timeline")

    browser.go(web.url, way, patience=30)
    browser.go(web.url, phone(staff), scheme="dark", size=browser.PHONE, patience=30)
    customer = Customer.objects.get(external_id="7590-VHVEG")
    subscription = Subscription.objects.get(customer=customer)
    assert subscription.pending_price is not None
    assert subscription.pending_price.amount_minor == 5695
    refund = Payment.objects.get(customer=customer).refunds.get()
    assert (refund.status, refund.amount_minor) == ("succeeded", 985)


def bill(external_id: str) -> None:
    """Renew one customer's subscription a month on and collect, as the jobs would."""
    now = datetime.fromisoformat(A_MONTH_ON).astimezone(UTC)
    subscription = Subscription.objects.get(customer__external_id=external_id)
    invoice = renewals.renew(
        actor=SYSTEM, subscription=subscription, period_end=subscription.current_period_end, now=now
    )
    payments.collect(actor=SYSTEM, invoice=invoice, attempt=1, now=now)


def phone(staff: User) -> browser.Way:
    def way(page: Any, picture: browser.Picture) -> None:
        browser.sign_in(page, staff.email)
        picture("day-9-phone-dashboard")
        page.goto("/admin/billing/customer/?q=7590-VHVEG")
        picture("day-10-phone-customers")
        page.click("text=7590-VHVEG")
        page.wait_for_selector("h1:has-text('7590-VHVEG')")
        picture("day-11-phone-customer")

    return way
