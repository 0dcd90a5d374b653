"""The log. A line..."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
from uuid import uuid4

import pytest
import structlog
from celery.signals import setup_logging
from django.core import mail
from django.db import connection
from django.test import Client

from core import context, jobs
from core.telemetry import logs, queries
from project.celery import app
from tests.billing import factories
from tests.cast import PASSWORD

SECRETS = ["hunter2hunter2", "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "s3cr3t-in-url", "abcdef0123456789"]


@pytest.fixture
def lines(settings):
    """Return a function that gives the lines written so far, as production writes them."""
    stream = io.StringIO()
    config = logs.configuration(is_json=True)
    config["handlers"]["lines"]["stream"] = stream
    logging.config.dictConfig(config)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.config.dictConfig(settings.LOGGING)


def test_carries_request_trace_organisation_actor_and_job(lines):
    organization = uuid4()
    with (
        context.use(context.Context(request_id="r1", trace_id="t1", organization_id=organization)),
        logs.bound(job="job_1", actor="user:1"),
    ):
        structlog.get_logger("here").info("something.happened", amount=3)
    (line,) = lines()
    assert line["request_id"] == "r1"
    assert line["trace_id"] == "t1"
    assert line["organization"] == str(organization)
    assert line["actor"] == "user:1"
    assert line["job"] == "job_1"
    assert (line["event"], line["level"], line["amount"]) == ("something.happened", "info", 3)


def test_comes_from_the_standard_library_in_the_same_form(lines):
    with context.use(context.Context(request_id="r2")):
        logging.getLogger("some.library").warning("It took %s tries", 3)
    (line,) = lines()
    assert (line["event"], line["request_id"], line["logger"]) == ("It took 3 tries", "r2", "some.library")


def test_stays_one_line_with_an_exception(lines):
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        structlog.get_logger("here").exception("it.failed")
    (line,) = lines()
    assert "ZeroDivisionError" in line["exception"]


def test_never_holds_a_secret(lines):
    structlog.get_logger("here").info(
        "signing in with Bearer abcdef0123456789",
        password=SECRETS[0],
        body={"refresh_token": SECRETS[1], "nested": [{"api_key": SECRETS[3]}]},
        url=f"postgresql://owner:{SECRETS[2]}@db/house",
        header=f"jwt {SECRETS[1]}",
        query=f"a=1&token={SECRETS[3]}&b=2",
    )
    logging.getLogger("library").error("failed for %s", f"redis://:{SECRETS[2]}@cache")
    text = json.dumps(lines())
    assert not [secret for secret in SECRETS if secret in text]
    assert lines()[0]["body"]["nested"] == [{"api_key": logs.REDACTED}]


def test_keeps_what_only_sounds_like_a_secret(lines):
    structlog.get_logger("here").info("tokens.counted", token_count=5, token_type="bearer", note="no secret here")
    (line,) = lines()
    assert (line["token_count"], line["token_type"], line["note"]) == (5, "bearer", "no secret here")


@pytest.mark.django_db
def test_is_written_once_for_each_request(lines, client):
    reply = client.get("/api/v1/nothing-here", HTTP_X_REQUEST_ID="asked-1")
    assert reply.status_code == 404
    access = [line for line in lines() if line["event"] == "http.request"]
    assert len(access) == 1
    assert (access[0]["method"], access[0]["status"], access[0]["request_id"]) == ("GET", 404, "asked-1")
    assert access[0]["milliseconds"] >= 0
    assert access[0]["queries"] >= 0


@pytest.mark.django_db
def test_names_a_slow_query_without_its_parameters(lines, monkeypatch):
    monkeypatch.setattr(queries, "SLOW_MILLISECONDS", 20)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.03), %s", ["a private thing"])
        cursor.execute("SELECT 1")
    slow = [line for line in lines() if line["event"] == "database.slow_query"]
    assert [line["sql"] for line in slow] == ["SELECT pg_sleep(0.03), %s"]
    assert slow[0]["milliseconds"] >= 30


@pytest.mark.django_db
def test_leaves_bulk_work_more_time(lines, monkeypatch):
    monkeypatch.setattr(queries, "SLOW_MILLISECONDS", 20)
    with queries.in_bulk(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.03)")
    assert [line for line in lines() if line["event"] == "database.slow_query"] == []


@pytest.fixture
def terminal(settings):
    """Return a function that gives the lines written so far, as a person at a terminal sees them."""
    stream = io.StringIO()
    config = logs.configuration(is_json=False)
    config["handlers"]["lines"]["stream"] = stream
    logging.config.dictConfig(config)
    yield lambda: stream.getvalue().splitlines()
    logging.config.dictConfig(settings.LOGGING)


def test_tells_a_person_what_happened_and_nothing_empty(terminal):
    with context.use(context.Context(request_id="r3")):
        structlog.get_logger("core.here").info("something.happened", amount=3, sql="x" * 500)
    (line,) = terminal()
    assert re.fullmatch(r"\d\d:\d\d:\d\d \[info +\] something\.happened +amount=3 sql=x{159}\u2026", line), line


def test_tells_a_person_the_request_when_something_is_wrong(terminal):
    with context.use(context.Context(request_id="r3")):
        structlog.get_logger("core.here").error("something.broke", empty="")
    (line,) = terminal()
    assert "request_id=r3" in line
    assert "empty" not in line


def test_is_in_our_form_from_celery_too(terminal):
    assert app.main == "countinghouse"
    setup_logging.send(sender=None, loglevel=logging.INFO, logfile=None, format="", colorize=None)
    logging.getLogger("celery.apps.worker").info("%s ready.", "celery@here")
    logging.getLogger("celery.app.trace").info("Task succeeded")
    (line,) = terminal()
    assert re.search(r"\[info +\] celery@here ready\.", line)


def test_shows_no_local_variables_to_a_person(terminal):
    secret = ["hunter2", "hunter2"]
    secret.append("".join(secret))
    try:
        raise RuntimeError(len(secret))
    except RuntimeError:
        structlog.get_logger("here").exception("it.failed")
    shown = "\n".join(terminal())
    assert "RuntimeError: 3" in shown
    assert "hunter2hunter2" not in shown


@pytest.mark.django_db
def test_holds_no_secret_and_nothing_personal_of_a_whole_day(lines, api, owner, organization):
    """People sign up, err, reset, invite, make keys, pay; the log tells of it and names nobody."""
    words = {
        owner.email,
        PASSWORD,
        "fresh@example.com",
        "Fresh Fish",
        "new@x.example",
        "priv@cust.example",
        "tok_private",
    }
    nobody, client = api(), api(owner)
    words |= {client.access_token, client.refresh_token, "Private Person", "kk-key-of-mine"}
    body = {"email": "fresh@example.com", "password": PASSWORD, "name": "Fresh Fish"}
    nobody.post("/api/v1/auth/sign-up", body)
    nobody.post("/api/v1/auth/login", {"email": owner.email, "password": "wrong"})
    nobody.post("/api/v1/auth/password-reset", {"email": owner.email})
    path = f"/api/v1/organizations/{organization.public_id}"
    client.post(f"{path}/invitations", {"email": "new@x.example", "role": "member"})
    words.add(client.post(f"{path}/api-keys", {"name": "k", "scopes": ["billing.*"]}).json()["key"])
    customer = factories.customer(organization=organization, email="priv@cust.example", name="Private Person")
    client.post(f"/api/v1/customers/{customer.public_id}/payment-methods", {"token": "tok_private"})
    client.get("/api/v1/customers?email=priv@cust.example&nothing=priv@cust.example")
    pay = f"/api/v1/invoices/{factories.invoice(customer).public_id}/pay"
    assert client.post(pay, {}, headers={"Idempotency-Key": "kk-key-of-mine"}).status_code < 500
    Client().post("/admin/login/", {"username": owner.email, "password": PASSWORD})
    jobs.drain()
    assert len(mail.outbox) >= 3
    words |= {word for message in mail.outbox for word in message.body.split() if len(word) > 30}
    written = json.dumps(lines())
    assert len(lines()) >= 10
    assert [word for word in words if word in written] == []
