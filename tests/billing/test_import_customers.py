"""Importing customers from a file: what comes in, what is rejected and why, and that twice is once."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from audit.models import Event
from billing.imports.mapping import MappingInvalid, read
from billing.models import Customer, Invoice, PaymentMethod, Price, Subscription
from billing.selectors import metrics
from billing.services import renewals
from core.actor import SYSTEM
from core.money import Money

ROOT = Path(__file__).parents[2]
TELCO = ROOT / "docs/examples/telco.mapping.yaml"
SMALL = Path(__file__).parent / "data/telco_small.csv"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "customers.csv"
    path.write_text(SMALL.read_text())
    return path


def run(capsys: Any, file: Path, *arguments: str, mapping: Path = TELCO, expected: int = 0) -> dict[str, Any]:
    code = 0
    try:
        call_command("import_customers", str(file), "--mapping", str(mapping), "--json", *arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == expected
    text = capsys.readouterr().out
    return json.loads(text) if text.strip() else {}


@pytest.mark.django_db
def test_imports_customers_with_running_subscriptions(capsys: Any, file: Path) -> None:
    summary = run(capsys, file, "--as-of", "2026-11-22")
    assert (summary["rows"], summary["created"], summary["active"], summary["canceled"]) == (4, 4, 3, 1)
    assert summary["monthly_recurring_revenue"] == {"amount_minor": 11665, "currency": "USD"}
    assert summary["empty_cells_of_ignored_columns"] == {"TotalCharges": 1}
    assert metrics.monthly_recurring_revenue() == [Money(11665, "USD")]
    subscription = Subscription.objects.get(external_id="A-2")
    assert subscription.term == "One year"
    assert subscription.started_at == datetime(2024, 1, 22, 5, tzinfo=UTC)  # midnight in New York
    assert subscription.current_period_start == datetime(2026, 11, 22, 5, tzinfo=UTC)
    assert subscription.current_period_end == datetime(2026, 12, 22, 5, tzinfo=UTC)
    assert not Invoice.objects.exists()


@pytest.mark.django_db
def test_makes_one_unlisted_price_for_each_amount(capsys: Any, file: Path) -> None:
    run(capsys, file)
    prices = {price.amount_minor: price for price in Price.objects.all()}
    assert sorted(prices) == [2985, 5385, 5695]
    assert not any(price.is_listed for price in prices.values())
    assert {price.interval for price in prices.values()} == {"month"}


@pytest.mark.django_db
def test_keeps_how_each_customer_pays(capsys: Any, file: Path) -> None:
    run(capsys, file)
    customer = Customer.objects.get(external_id="A-1")
    method = customer.default_payment_method
    assert method is not None
    assert (method.provider, method.kind, method.label) == ("sandbox", "check", "Electronic check")
    assert PaymentMethod.objects.count() == 4


@pytest.mark.django_db
def test_leaves_an_unknown_end_empty_and_outside_of_churn(capsys: Any, file: Path) -> None:
    run(capsys, file, "--as-of", "2026-11-22")
    gone = Subscription.objects.get(external_id="A-3")
    assert (gone.status, gone.ended_at, gone.is_end_known) == ("canceled", None, False)
    assert metrics.churn(datetime(2026, 11, 23, tzinfo=UTC)).ended == 0


@pytest.mark.django_db
def test_changes_nothing_when_imported_again(capsys: Any, file: Path) -> None:
    run(capsys, file)
    before = Event.objects.count(), list(Subscription.objects.values_list("pk", "version").order_by("pk"))
    summary = run(capsys, file)
    assert (summary["created"], summary["unchanged"]) == (0, 4)
    assert (Event.objects.count(), list(Subscription.objects.values_list("pk", "version").order_by("pk"))) == before


@pytest.mark.django_db
def test_records_an_event_for_each_customer_and_subscription(capsys: Any, file: Path) -> None:
    run(capsys, file)
    assert Event.objects.filter(type="billing.customer.imported").count() == 4
    event = Event.objects.filter(type="billing.subscription.imported").first()
    assert event is not None
    assert event.data["source"] == "telco"
    assert Event.objects.filter(command_id=event.command_id).count() > 1


@pytest.mark.django_db
def test_writes_nothing_on_a_dry_run(capsys: Any, file: Path) -> None:
    summary = run(capsys, file, "--dry-run")
    assert (summary["is_dry_run"], summary["active"], summary["created"]) == (True, 3, 0)
    assert not Customer.objects.exists()
    assert not Event.objects.exists()


def change(file: Path, line: int, column: str, value: str) -> None:
    rows = list(csv.reader(file.open(newline="")))
    rows[line - 1][rows[0].index(column)] = value
    with file.open("w", newline="") as out:
        csv.writer(out).writerows(rows)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("MonthlyCharges", "abc", "'abc' is not an amount"),
        ("MonthlyCharges", "1.005", "more decimals"),
        ("MonthlyCharges", "-1", "negative"),
        ("MonthlyCharges", "", "is empty"),
        ("MonthlyCharges", "NaN", "is not an amount"),
        ("tenure", "two", "is no number of months"),
        ("tenure", "99999", "is no number of months"),
        ("customerID", "", "is empty"),
        ("customerID", "A-1", "stands in line 2 already"),
    ],
)
def test_rejects_a_bad_row_and_takes_the_others(capsys: Any, file: Path, column: str, value: str, reason: str) -> None:
    change(file, 3, column, value)
    summary = run(capsys, file, expected=1)
    assert (summary["created"], summary["rejected"]) == (3, 1)
    with Path(summary["rejected_file"]).open(newline="") as rejected:
        (row,) = csv.DictReader(rejected)
    assert (row["line"], row["column"]) == ("3", column)
    assert reason in row["reason"]


@pytest.mark.django_db
def test_removes_the_rejected_rows_once_they_are_mended(capsys: Any, file: Path) -> None:
    change(file, 3, "MonthlyCharges", "abc")
    rejected = Path(run(capsys, file, expected=1)["rejected_file"])
    change(file, 3, "MonthlyCharges", "56.95")
    assert run(capsys, file)["created"] == 1
    assert not rejected.exists()


@pytest.mark.django_db
def test_rejects_a_line_that_is_too_short(capsys: Any, file: Path) -> None:
    file.write_text(file.read_text() + "A-9,Male\n")
    assert run(capsys, file, expected=1)["rejected"] == 1


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("currency: USD", "currency: DOLLAR", "line 3, currency: 'DOLLAR' is no ISO 4217 currency"),
        ("source: telco\n", "", "source: is missing"),
        ("interval: month", "interval: fortnight", "subscription.interval: 'fortnight' is none of"),
        ("months_since: tenure", "colour: red", "subscription.started"),
        ("  external_id: customerID", "  externalid: customerID", "customer.externalid: is no known field"),
        ("America/New_York", "Mars/Olympus", "is no IANA time zone"),
        ("    Electronic check: check", "    Electronic check: cheque", "'cheque' is none of"),
        ("source: telco", "source: [telco", "not YAML"),
    ],
)
def test_says_line_and_field_of_a_mapping_that_is_wrong(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = TELCO.read_text()
    assert old in text
    path = tmp_path / "mapping.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(MappingInvalid) as caught:
        read(path)
    assert fault in str(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize("change_to", ["TotalCharges -> Sum", "tenure -> months"])
def test_wants_every_column_mapped_or_ignored(capsys: Any, file: Path, change_to: str) -> None:
    old, new = change_to.split(" -> ")
    file.write_text(file.read_text().replace(old, new, 1))
    run(capsys, file, expected=2)
    assert not Customer.objects.exists()


@pytest.mark.django_db
def test_reads_dates_e_mails_and_ends_from_columns(capsys: Any, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "source: crm\ncurrency: EUR\ncustomer: {external_id: id, name: name, email: mail}\n"
        "subscription:\n  product: Plan\n  amount: fee\n  interval: year\n"
        "  started: {on: since, format: '%d.%m.%Y'}\n  ended: {on: until}\n"
    )
    file = tmp_path / "crm.csv"
    file.write_text(
        "id,name,mail,fee,since,until\n1,Ada,ada@example.com,120.00,29.02.2024,\n"
        "2,Bo,bo@example.com,60,01.01.2025,01.06.2026\n3,Cy,nobody,60,01.01.2025,\n4,Di,,60,01.01.2031,\n"
    )
    summary = run(capsys, file, "--as-of", "2026-11-22", mapping=mapping, expected=1)
    assert (summary["active"], summary["canceled"], summary["rejected"]) == (1, 1, 2)
    assert summary["monthly_recurring_revenue"]["amount_minor"] == 1000
    ended = Subscription.objects.get(external_id="2")
    assert (ended.ended_at, ended.is_end_known) == (datetime(2026, 6, 1, tzinfo=UTC), True)
    assert Subscription.objects.get(external_id="1").current_period_start == datetime(2026, 2, 28, tzinfo=UTC)


@pytest.mark.django_db
@pytest.mark.parametrize("as_of", ["2026-01-31", "2026-02-28", "2024-02-29", "2026-03-31"])
def test_makes_each_subscription_due_once_a_month_later(capsys: Any, file: Path, as_of: str) -> None:
    from billing.periods import add_months

    run(capsys, file, "--as-of", as_of)
    later = add_months(datetime.fromisoformat(as_of).replace(tzinfo=UTC, hour=12), 1)
    for subscription in Subscription.objects.filter(status="active"):
        assert subscription.current_period_end <= later
        invoice = renewals.renew(
            actor=SYSTEM, subscription=subscription, period_end=subscription.current_period_end, now=later
        )
        assert invoice is not None
        subscription.refresh_from_db()
        assert subscription.current_period_end > later


@pytest.mark.django_db
def test_imports_the_telecom_companys_customers_exactly(capsys: Any, tmp_path: Path) -> None:
    given = os.environ.get("COUNTINGHOUSE_TELCO_CSV")
    if not given or not Path(given).exists():
        pytest.skip("COUNTINGHOUSE_TELCO_CSV does not name the file of the 7,043 telecom customers.")
    file = tmp_path / "telco.csv"
    file.write_bytes(Path(given).read_bytes())
    summary = run(capsys, file)
    assert (summary["rows"], summary["active"], summary["canceled"]) == (7043, 5174, 1869)
    assert summary["monthly_recurring_revenue"] == {"amount_minor": 31698575, "currency": "USD"}
    assert summary["empty_cells_of_ignored_columns"] == {"TotalCharges": 11}
    assert metrics.monthly_recurring_revenue() == [Money(31698575, "USD")]
    assert run(capsys, file)["unchanged"] == 7043
