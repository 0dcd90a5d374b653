"""Lists as files: the rows of the list, exact and harmless, for who asked and for a week, once, whatever is killed."""

from __future__ import annotations

import csv
import hashlib
import io
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import example, given
from hypothesis import strategies as st

from accounts.models import User
from audit.models import Event
from billing.models import Customer
from core import clock, health, jobs
from core.actor import SYSTEM
from core.admin.html import admin_url
from core.context import Context, use
from core.exports import commands, files
from core.exports import jobs as writing
from core.exports.columns import Kind, plain
from core.exports.listings import listing_of
from core.exports.writers import CsvWriter, XlsxWriter, as_text, guarded
from core.jobs.registry import JobRun, LeaseLost
from core.jobs.runner import run_inline
from core.models import Export, Job
from core.money import Money
from tests.admin.conftest import hidden_fields
from tests.billing import factories
from tests.cast import new_person
from tests.meta.company import company

pytestmark = pytest.mark.django_db

CUSTOMERS = "billing_customer"
REASON = "For the yearly review"
LISTS = sorted(
    f"{one.opts.app_label}_{one.opts.model_name}"
    for one in admin.site._registry.values()
    if getattr(one, "is_exportable", False)
)


def form_address(name: str, query: str = "") -> str:
    return reverse(f"admin:{name}_export") + query


@pytest.fixture
def ask(desk: Client) -> Callable[..., HttpResponse]:
    """`ask("billing_customer", "?q=…", file_format="xlsx")` fills in the form and sends it."""

    def send(name: str, query: str = "", **answers: Any) -> HttpResponse:
        page = desk.get(form_address(name, query))
        assert page.status_code == 200, page
        form = page.context["form"]
        data = {
            "columns": form.fields["columns"].initial,
            "file_format": "csv",
            "reason": REASON,
            "token": hidden_fields(page)["token"],
        }
        return desk.post(form_address(name, query), {**data, **answers})

    return send


@pytest.fixture
def export(ask: Callable[..., HttpResponse]) -> Callable[..., Export]:
    """As `ask`, and the job is run."""

    def made(name: str, query: str = "", **answers: Any) -> Export:
        reply = ask(name, query, **answers)
        assert reply.status_code == 302, reply.content.decode()[-3000:]
        found = Export.objects.latest("id")
        run_inline(found.job_id)
        found.refresh_from_db()
        return found

    return made


@pytest.fixture
def fetch(desk: Client) -> Callable[[Export], bytes]:
    def content(found: Export) -> bytes:
        reply = desk.get(commands.address(found))
        assert reply.status_code == 200, reply
        return b"".join(reply.streaming_content)

    return content


def rows_of(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def events(kind: str) -> list[Event]:
    return list(Event.objects.filter(type=f"core.export.{kind}").order_by("id"))


# --- what stands in the file -----------------------------------------------------------------------------------------


def test_has_the_rows_of_the_list_and_no_others(export, fetch):
    for number in range(3):
        factories.customer(name=f"Euro {number}", currency="EUR")
        factories.customer(name=f"Dollar {number}", currency="USD")
    made = export(CUSTOMERS, "?currency=EUR")
    header, *rows = rows_of(fetch(made))
    assert header == ["Name", "E-mail", "External id", "State", "Organisation", "Organisation id", "Id", "Created"]
    assert [row[0] for row in rows] == ["Euro 2", "Euro 1", "Euro 0"]  # the order of the list
    assert {row[6] for row in rows} == {one.public_id for one in Customer.objects.filter(currency="EUR")}
    assert made.rows == 3


def test_honours_the_search(export, fetch):
    factories.customer(name="Grace Hopper")
    factories.customer(name="Ada Lovelace")
    made = export(CUSTOMERS, "?q=grace&p=3")
    assert [row[0] for row in rows_of(fetch(made))[1:]] == ["Grace Hopper"]


def test_asks_again_at_run_time_what_is_there(ask, fetch):
    factories.customer(name="First")
    ask(CUSTOMERS)
    factories.customer(name="Second")
    made = Export.objects.get()
    run_inline(made.job_id)
    assert len(rows_of(fetch(made))) == 3


def test_has_only_the_columns_that_were_chosen(export, fetch):
    customer = factories.customer(name="Grace")
    made = export(CUSTOMERS, columns=["identifier", "name"])
    assert rows_of(fetch(made)) == [["Name", "Id"], ["Grace", customer.public_id]]


def test_writes_amounts_exactly_with_their_currency(export, fetch):
    factories.price(amount_minor=123_456_789_012_345)
    header, row = rows_of(fetch(export("billing_price")))
    shown = dict(zip(header, row, strict=True))
    assert (shown["Amount"], shown["Amount currency"]) == ("1234567890123.45", "USD")


def test_writes_what_a_row_belongs_to_by_name_and_id_and_moments_in_utc(export, fetch):
    invoice = factories.invoice(factories.customer(name="Grace"))
    header, row = rows_of(fetch(export("billing_invoice")))
    shown = dict(zip(header, row, strict=True))
    assert (shown["Customer"], shown["Customer id"]) == ("Grace", invoice.customer.public_id)
    assert datetime.fromisoformat(shown["Created"]) == invoice.created_at
    assert shown["Created"].endswith("Z")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_can_write_every_list(file_format, export, fetch, organization, owner):
    company(organization, owner, factories.entity())
    for name in LISTS:
        made = export(name, file_format=file_format)
        assert made.completed_at, (name, Job.objects.get(pk=made.job_id).error)
        assert fetch(made)


@pytest.mark.django_db(transaction=True)
def test_declares_every_column_that_shows_money_or_a_link(staff: User, actor_of, organization, owner):
    company(organization, owner, factories.entity())
    for name in LISTS:
        listing = listing_of(actor=actor_of(staff), name=name.replace("_", "."), query="")
        for row in listing.rows[:50]:
            for column in listing.columns:
                value = plain(column.value(row))
                if isinstance(value, Money):
                    assert column.kind is Kind.MONEY, f"{name}: put @exports_as(Kind.MONEY) on {column.name}"
                assert type(value).__name__ != "Linked" or column.kind is Kind.LINK, (
                    f"{name}: put @exports_as(Kind.LINK) on {column.name}"
                )


def test_begins_with_a_mark_for_excel_only_when_asked(export, fetch):
    assert fetch(export(CUSTOMERS, has_mark="on")).startswith(b"\xef\xbb\xbfName")
    assert fetch(export(CUSTOMERS)).startswith(b"Name")


def test_says_the_same_as_csv_and_as_a_workbook(export, fetch):
    for number in range(5):
        factories.invoice(factories.customer(name=f"Customer, “{number}”\nand more", currency="USD"))
    written = rows_of(fetch(export("billing_invoice")))
    sheet = openpyxl.load_workbook(io.BytesIO(fetch(export("billing_invoice", file_format="xlsx")))).active
    in_book = [[read(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    for there, here in zip(in_book, written, strict=True):
        assert there == [pytest.approx(value, abs=0.01) for value in map(read, here)]


def read(cell: Any) -> Any:
    """What a cell says: numbers by their value, moments in seconds (a workbook keeps milliseconds)."""
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=UTC).timestamp()
    text = "" if cell is None else str(cell)
    for meaning in (float, lambda text: datetime.fromisoformat(text).astimezone(UTC).timestamp()):
        try:
            return meaning(text)
        except ValueError:
            continue
    return text


def test_keeps_numbers_and_dates_of_a_workbook_as_such(tmp_path: Path):
    path = tmp_path / "book.xlsx"
    writer = XlsxWriter(path, ["a", "b", "c", "d", "e", "f"], title="Rows [all]")
    moment = datetime(2026, 3, 2, 14, 5, 30, tzinfo=UTC)
    writer.row([Money(1999, "USD"), 7, moment, date(2026, 3, 2), "=1+1", 10**18])
    writer.close()
    sheet = openpyxl.load_workbook(path).active
    (row,) = sheet.iter_rows(min_row=2)
    assert [cell.value for cell in row] == [
        19.99, 7, moment.replace(tzinfo=None), datetime(2026, 3, 2), "=1+1", "1000000000000000000",
    ]  # fmt: skip
    assert [cell.data_type for cell in row][4:] == ["s", "s"]
    assert row[0].number_format == "0.00"


def test_goes_on_upon_another_sheet_when_one_is_full(tmp_path: Path):
    path = tmp_path / "book.xlsx"
    writer = XlsxWriter(path, ["number"], title="Rows", rows_on_sheet=4)
    for number in range(7):
        writer.row([number])
    writer.close()
    book = openpyxl.load_workbook(path)
    assert [[cell for (cell,) in sheet.iter_rows(values_only=True)] for sheet in book] == [
        ["number", 0, 1, 2], ["number", 3, 4, 5], ["number", 6],
    ]  # fmt: skip
    assert book.sheetnames == ["Rows", "Rows 2", "Rows 3"]


# --- what must not stand in it ---------------------------------------------------------------------------------------


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
def test_writes_no_text_that_a_spreadsheet_would_run(text: str):
    written = as_text(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert written.replace("'", "") == text.replace("'", "")


@given(st.text(st.sampled_from(";,\t\r\n\"'=+@- a\ufeff\u200b\xa0")))
@example("Ada;=1+1")
@example('Ada;"=1+1"')
@example("Ada\n@SUM(A1)")
@example(" =1+1")
def test_writes_no_text_that_a_spreadsheet_of_another_country_would_run(tmp_path_factory, text: str):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    writer = CsvWriter(path, ["one", "two", "three"], has_mark=False)
    writer.row(["Ada", text, "Grace"])
    writer.close()
    for separator in ",;\t":
        for row in csv.reader(path.open(newline=""), delimiter=separator):
            assert not [cell for cell in row if cell.lstrip(" \xa0\ufeff\u200b\t\r\n").startswith(tuple("=+-@"))]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=2, max_size=2)))
def test_is_read_again_as_it_was_written(tmp_path_factory, rows: list[list[str]]):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    writer = CsvWriter(path, ["one", "two"], has_mark=False)
    for row in rows:
        writer.row(row)
    writer.close()
    assert rows_of(path.read_bytes())[1:] == [[guarded(cell) for cell in row] for row in rows]


@pytest.mark.parametrize(("cell", "text"), [(-5, "-5"), (Money(-1250, "USD"), "-12.50"), (Decimal("-0.10"), "-0.10")])
def test_leaves_numbers_numbers(cell, text):
    assert as_text(cell) == text


def test_disarms_a_formula_that_a_customer_is_named_by(export, fetch):
    factories.customer(name='=HYPERLINK("http://x.example","Grace")')
    assert rows_of(fetch(export(CUSTOMERS)))[1][0] == '\'=HYPERLINK("http://x.example","Grace")'


# --- who may ---------------------------------------------------------------------------------------------------------


def test_is_not_offered_to_who_is_not_staff(owner: User, organization):
    client = Client()
    client.force_login(owner)
    assert client.get(form_address(CUSTOMERS)).status_code == 302  # to the sign-in
    assert Export.objects.count() == 0


def test_refuses_a_list_that_the_asker_may_not_see(ask, desk: Client, monkeypatch):
    from billing.admin.customers import CustomerAdmin

    monkeypatch.setattr(CustomerAdmin, "has_view_permission", lambda self, request, obj=None: False)
    assert desk.get(form_address(CUSTOMERS)).status_code == 403
    assert desk.post(form_address(CUSTOMERS), {"reason": "x"}).status_code == 403


def test_writes_nothing_for_who_is_no_longer_staff(ask, staff: User):
    factories.customer()
    ask(CUSTOMERS)
    User.objects.filter(pk=staff.pk).update(is_staff=False)
    made = Export.objects.get()
    job = run_inline(made.job_id)
    assert (job.state, job.error["code"]) == ("dead", "forbidden")
    made.refresh_from_db()
    assert (made.file_key, made.completed_at) == ("", None)
    assert stored() == []


def test_gives_the_file_to_nobody_else(export, staff: User):
    made = export(CUSTOMERS)
    other = Client()
    other.force_login(new_person("sten@countinghouse.example", is_staff=True))
    assert other.get(commands.address(made)).status_code == 404
    assert other.get(admin_url(made)).status_code == 404
    assert made.title not in other.get(reverse("admin:core_export_changelist")).content.decode().split("<main")[-1]
    assert events("downloaded") == []


def test_gives_the_file_to_no_one_who_left_the_staff(export, desk: Client, staff: User):
    made = export(CUSTOMERS)
    User.objects.filter(pk=staff.pk).update(is_staff=False)
    assert desk.get(commands.address(made)).status_code == 302
    assert "login" in desk.get(commands.address(made)).headers["Location"]


@pytest.mark.parametrize("name", ["nonsense", "exp_01h455vb4pex5vsknk084sn02q", "../etc/passwd", "job_x"])
def test_knows_no_file_by_another_name(name, desk: Client):
    assert desk.get(f"/admin/exports/{name}/").status_code == 404


def test_refuses_a_column_that_the_list_does_not_show(ask):
    reply = ask("accounts_user", columns=["email", "password"])
    assert reply.status_code == 200
    assert "password is not one of the available choices" in reply.content.decode()
    assert Export.objects.count() == 0


@pytest.mark.parametrize("query", ["?password__startswith=a", "?currency=%00", "?created_at__gte=nonsense"])
def test_refuses_to_narrow_by_what_the_list_does_not_offer(query, desk: Client):
    reply = desk.get(form_address("accounts_user", query))
    assert reply.status_code in (302, 400)


def test_asks_for_the_reason(ask):
    reply = ask(CUSTOMERS, reason="")
    assert reply.status_code == 200
    assert Export.objects.count() == 0


def test_takes_a_form_that_is_sent_twice_once(ask):
    for _ in range(2):
        assert ask(CUSTOMERS, token="a" * 32).status_code == 302
    assert Export.objects.count() == Job.objects.filter(kind="core.export").count() == len(events("requested")) == 1


def test_lets_one_person_have_five_under_way(ask):
    for _ in range(5):
        ask(CUSTOMERS)
    reply = ask(CUSTOMERS)
    assert reply.status_code == 429
    assert "5 of your exports are under way" in reply.content.decode()
    assert Export.objects.count() == 5


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_records_who_asked_for_what_and_why(export, fetch, staff: User):
    factories.customer(name="Grace")
    made = export(CUSTOMERS, "?q=Grace")
    fetch(made)
    asked, completed, downloaded = (events(kind)[0] for kind in ("requested", "completed", "downloaded"))
    assert {event.actor_id for event in (asked, completed, downloaded)} == {staff.pk}
    assert {event.subject_id for event in (asked, completed, downloaded)} == {made.pk}
    assert asked.context["reason"] == completed.context["reason"] == REASON
    assert asked.data["listing"] == "billing.customer"
    assert asked.data["columns"][0] == "name"
    assert "Grace" not in str(asked.data)  # what was searched for may name a person
    assert completed.data["name"] == made.name
    assert (completed.data["rows"], completed.data["url"]) == (1, f"/admin/exports/{made.public_id}/")
    assert completed.data["sha256"] == made.sha256


def test_sends_the_file_as_one_to_keep_and_never_to_show(export, desk: Client):
    made = export(CUSTOMERS)
    reply = desk.get(commands.address(made), headers={"Accept-Encoding": "gzip"})
    content = b"".join(reply.streaming_content)
    assert hashlib.sha256(content).hexdigest() == made.sha256
    assert reply.headers["Content-Disposition"] == f'attachment; filename="{made.name}"'
    assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in reply.headers["Cache-Control"]
    assert int(reply.headers["Content-Length"]) == len(content) == made.size
    assert "Content-Encoding" not in reply.headers
    assert desk.post(commands.address(made)).status_code == 405


def test_keeps_the_file_where_nobody_can_guess_it(export):
    first, second = export(CUSTOMERS), export(CUSTOMERS)
    assert first.file_key != second.file_key
    assert len(first.file_key.split("/")[1]) > 30
    path = Path(files.storage().path(first.file_key))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


# --- the way to its end ----------------------------------------------------------------------------------------------


def stored() -> list[str]:
    root = Path(files.storage().location)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def _no_files(settings, tmp_path: Path):
    """Each test has a folder of its own."""
    from django.core.files.storage import storages

    place = settings.STORAGES["exports"]
    settings.STORAGES = {
        **settings.STORAGES,
        "exports": {**place, "OPTIONS": {**place["OPTIONS"], "location": str(tmp_path / "files")}},
    }
    storages._storages.pop("exports", None)
    yield
    storages._storages.pop("exports", None)


def test_can_be_canceled_before_it_is_written(ask, give):
    factories.customer()
    ask(CUSTOMERS)
    made = Export.objects.get()
    assert "canceled" in give(made, "cancel", reason="Wrong list").content.decode()
    run_inline(made.job_id)
    assert (stored(), events("completed")) == ([], [])
    assert Job.objects.get(pk=made.job_id).state == "succeeded"
    assert len(events("canceled")) == 1


def test_stops_soon_when_it_is_canceled_while_it_is_written(ask, staff: User, actor_of, monkeypatch):
    for _ in range(3):
        factories.customer()
    ask(CUSTOMERS)
    made = Export.objects.get()
    chunks = writing.Listing.chunks

    def one_by_one(self, size: int = 1) -> Any:
        for number, chunk in enumerate(chunks(self, 1)):
            assert number < 2, "it went on"
            yield chunk
            commands.cancel(actor=actor_of(staff), export=made, now=clock.now())

    monkeypatch.setattr(writing.Listing, "chunks", one_by_one)
    run_inline(made.job_id)
    assert (stored(), events("completed")) == ([], [])


def test_refuses_to_cancel_what_has_ended(export, give, staff: User, actor_of):
    from core.errors import InvalidTransition, NotFound

    made = export(CUSTOMERS)
    with pytest.raises(InvalidTransition):
        commands.cancel(actor=actor_of(staff), export=made, now=clock.now())
    with pytest.raises(NotFound):
        commands.cancel(actor=actor_of(new_person("x@y.example", is_staff=True)), export=made, now=clock.now())


def test_cannot_be_downloaded_after_its_time(export, desk: Client):
    made = export(CUSTOMERS)
    assert made.expires_at - made.completed_at == timedelta(days=7)
    Export.objects.filter(pk=made.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    reply = desk.get(commands.address(made))
    assert (reply.status_code, reply.headers["Location"]) == (302, admin_url(made))
    assert "not there (any more)" in desk.get(admin_url(made)).content.decode()
    assert events("downloaded") == []


def test_removes_files_when_their_time_is_up_and_no_others(export):
    old, new = export(CUSTOMERS, "?q=Grace"), export(CUSTOMERS)
    Export.objects.filter(pk=old.pk).update(expires_at=clock.now() - timedelta(seconds=1))
    for _ in range(2):
        job = jobs.enqueue(writing.PURGE, {}, actor=SYSTEM)
        run_inline(job.pk)
    assert stored() == [new.file_key]
    assert [event.subject_id for event in events("expired")] == [old.pk]
    old.refresh_from_db()
    assert (old.file_key, old.query, old.purged_at is not None) == ("", "", True)


def test_is_written_anew_by_the_next_attempt_and_completed_once(ask, fetch):
    factories.customer(name="Grace")
    ask(CUSTOMERS)
    made = Export.objects.get()
    # What a worker leaves behind that was killed after it had stored its file, before its commit.
    files.storage().save(f"{made.pk.hex}/left.csv", io.BytesIO(b"half"))
    run_inline(made.job_id)
    Job.objects.filter(pk=made.job_id).update(state="queued")  # and the message is delivered once more
    run_inline(made.job_id)
    made.refresh_from_db()
    assert stored() == [made.file_key]
    assert len(events("completed")) == 1
    assert [row[0] for row in rows_of(fetch(made))] == ["Name", "Grace"]


def test_leaves_no_file_when_another_worker_has_the_job(ask, staff: User, actor_of):
    ask(CUSTOMERS)
    made = Export.objects.get()
    reports: list[int] = []

    def report(done: int, total: int | None) -> None:
        reports.append(done)
        if len(reports) == 2:
            raise LeaseLost

    run = JobRun(made.job_id, {"export": str(made.pk)}, actor_of(staff), Context(), clock.now(), 1, report)
    with use(Context(source="job")), pytest.raises(LeaseLost):
        writing.write_export(run)
    assert (stored(), events("completed")) == ([], [])


def test_shows_ones_own_exports_with_their_state(ask, export, desk: Client):
    listed = reverse("admin:core_export_changelist")
    assert "No exports yet" in desk.get(listed).content.decode()
    ask(CUSTOMERS)
    shown = desk.get(listed).content.decode()
    assert "<progress data-live" in shown
    waiting = Export.objects.get()
    Job.objects.filter(pk=waiting.job_id).update(
        state="dead", error={"code": "x", "title": "Boom", "detail": "The list could not be read."}
    )
    made = export(CUSTOMERS)
    shown = desk.get(listed).content.decode()
    assert commands.address(made) in shown
    assert "ch-state--danger" in shown
    assert "data-live" not in shown
    assert "The list could not be read." in desk.get(admin_url(waiting)).content.decode()


def test_offers_the_button_on_every_list_with_its_filters(desk: Client):
    factories.customer()
    for name in LISTS:
        page = desk.get(reverse(f"admin:{name}_changelist")).content.decode()
        assert f'href="{form_address(name)}"' in page, name
    page = desk.get(reverse(f"admin:{CUSTOMERS}_changelist") + "?currency=USD").content.decode()
    assert form_address(CUSTOMERS, "?currency=USD") in page


def test_tells_health_when_its_files_have_no_place(tmp_path: Path):
    assert files.is_well().status == "ok"
    root = Path(files.storage().location)
    root.rmdir()
    root.write_text("in the way")
    assert health.ask(["files"], max_age=0)["files"].status == "failed"


# --- how much it takes -----------------------------------------------------------------------------------------------


def test_asks_as_many_queries_for_each_row_as_for_a_thousand(staff: User, actor_of, django_assert_num_queries):
    from django.db import connection

    def queries(count: int) -> int:
        entity = factories.entity()
        for _ in range(count):
            factories.customer(billing_entity=entity, token=None)
        listing = listing_of(actor=actor_of(staff), name="billing.customer", query="")
        with CaptureQueriesContext(connection) as found:
            for chunk in listing.chunks():
                for row in chunk:
                    for column in listing.columns:
                        column.cells(row)
        return len(found)

    assert queries(5) == queries(45)


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_takes_no_more_memory_for_many_rows_than_for_few(file_format, tmp_path: Path):
    def peak(rows: int) -> int:
        path = tmp_path / f"{rows}.{file_format}"
        headers = ["a", "b", "c"]
        tracemalloc.start()
        writer: Any = (
            XlsxWriter(path, headers, title="Rows")
            if file_format == "xlsx"
            else CsvWriter(path, headers, has_mark=False)
        )
        for number in range(rows):
            writer.row([f"Row {number}", Money(number, "USD"), datetime(2026, 3, 2, tzinfo=UTC)])
        writer.close()
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)  # what is loaded once
    assert peak(20_000) < peak(2_000) + 1_000_000
