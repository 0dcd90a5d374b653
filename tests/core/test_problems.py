"""Every error of the API is one problem document, and says where the fault is."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.test import Client

from core.events import catalogue
from core.ids import encode, new_id
from core.models import Job
from tests.core import toy

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.toy")]

USER = {"Authorization": "Bearer 7"}


@pytest.fixture
def api() -> Client:
    toy.calls.clear()
    return Client(headers=USER, raise_request_exception=False)


@pytest.fixture
def job() -> Job:
    return Job.objects.create(kind="a", requested_by_type="user")


def post(api: Client, path: str, body: Any, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body)
    return api.post(f"/api/v1/{path}", content, content_type="application/json", headers=headers)


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert document["type"] == f"/docs/errors/{code}"
    assert {"title", "detail", "instance"} <= set(document)
    return document


def pointers(document: dict[str, Any]) -> dict[str, str]:
    return {fault["pointer"]: fault["code"] for fault in document["errors"]}


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/nothing", "/api/v2/jobs", "/api/v1/jobs/"])
def test_answers_an_unknown_address_with_a_problem(api: Client, path: str, settings: Any) -> None:
    for settings.DEBUG in (False, True):
        problem(api.get(path), 404, "not_found")


def test_tells_a_post_to_an_unknown_address_that_nothing_is_there() -> None:
    careful = Client(enforce_csrf_checks=True)
    problem(careful.post("/api/v1/nothing", {}, content_type="application/json"), 404, "not_found")


def test_says_in_words_what_to_do_about_a_form_that_is_too_old() -> None:
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "x", "password": "y"})
    assert response.status_code == 403
    assert "Go back, reload, send it again" in response.content.decode()


def test_answers_an_unknown_page_with_a_page(api: Client) -> None:
    response = api.get("/nothing")
    assert response.status_code == 404
    assert response.headers["Content-Type"].startswith("text/html")
    assert "There is no such thing" in response.content.decode()


@pytest.mark.parametrize(
    "wrong", ["x", "job_1", "usr_01h455vb4pex5vsknk084sn02q", "%00", "job_01h455vb4pex5vsknk084sn02q"]
)
def test_answers_a_wrong_or_missing_id_with_404(api: Client, wrong: str) -> None:
    problem(api.get(f"/api/v1/jobs/{wrong}"), 404, "not_found")


def test_names_the_allowed_methods(api: Client) -> None:
    response = api.delete("/api/v1/jobs")
    problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


def test_answers_options_with_the_methods(api: Client) -> None:
    response = api.options("/api/v1/jobs")
    assert response.status_code == 204
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*, text/plain"])
def test_refuses_to_answer_anything_but_json(api: Client, accept: str) -> None:
    problem(api.get("/api/v1/jobs", headers={"Accept": accept}), 406, "not_acceptable")


def test_takes_json_among_other_wishes(api: Client) -> None:
    assert api.get("/api/v1/jobs", headers={"Accept": "text/html, application/json;q=0.9"}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_refuses_a_body_that_is_not_json(api: Client, kind: str) -> None:
    problem(api.post("/api/v1/jobs", b"kind=a", content_type=kind), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("body", "place"),
    [(b'{"kind": ', "line 1, column 10"), (b"{'a': 1}", "line 1, column 2"), (b'{"a":1}\n}', "line 2, column 1")],
)
def test_says_where_json_is_malformed(api: Client, body: bytes, place: str) -> None:
    document = problem(post(api, "jobs", body), 400, "invalid_input")
    assert place in document["detail"]
    assert pointers(document) == {"": "malformed_json"}


@pytest.mark.parametrize("body", [b"\xff\xfe", b'{"kind": NaN}', b"[" * 100_000, b'{"priority": ' + b"9" * 5000 + b"}"])
def test_refuses_what_only_looks_like_json(api: Client, body: bytes) -> None:
    problem(post(api, "jobs", body), 400, "invalid_input")


@pytest.mark.parametrize("body", [[], "text", 5, None, True])
def test_refuses_a_body_that_is_no_object(api: Client, body: Any) -> None:
    assert pointers(problem(post(api, "jobs", body), 400, "invalid_input")) == {"": "not_an_object"}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (rb'{"kind": "a\u0000"}', "/kind"),
        (rb'{"kind": "\ud800"}', "/kind"),
        (rb'{"legs": [{"currency": "\uDfff"}]}', "/legs/0/currency"),
        (rb'{"a\u0000": 1}', ""),
    ],
)
def test_refuses_characters_that_cannot_be_stored(api: Client, body: bytes, pointer: str) -> None:
    assert pointers(problem(post(api, "jobs", body), 400, "invalid_input")) == {pointer: "unstorable_character"}


def test_takes_escaped_characters_that_can_be_stored(api: Client) -> None:
    response = post(api, "jobs", rb'{"kind": "\ud83d\ude00 \\u0000"}')
    assert response.status_code == 201
    assert response.json()["kind"] == "😀 \\u0000"


def test_refuses_a_body_beyond_ten_megabytes(api: Client) -> None:
    problem(post(api, "jobs", b'{"kind": "' + b"a" * 10 * 1024 * 1024 + b'"}'), 413, "too_large")


def test_refuses_a_wrong_content_length(api: Client) -> None:
    problem(api.post("/api/v1/jobs", b"{}", content_type="application/json", CONTENT_LENGTH="-5"), 400, "invalid_input")


def test_points_at_every_fault_of_the_body(api: Client) -> None:
    body = {
        "priority": 12,
        "is_urgent": "yes",
        "legs": [{"amount_minor": 1, "currency": "USD"}, {"amount_minor": -1, "currency": "usd", "a/b~c": 1}],
        "parent_id": "cus_1",
        "surprise": 1,
    }
    found = pointers(problem(post(api, "jobs", body), 400, "invalid_input"))
    assert found == {
        "/kind": "required",
        "/priority": "max_value",
        "/is_urgent": "not_a_boolean",
        "/legs/1/amount_minor": "min_value",
        "/legs/1/currency": "invalid_currency",
        "/legs/1/a~1b~0c": "unknown_field",
        "/parent_id": "invalid",
        "/surprise": "unknown_field",
    }
    assert not toy.calls


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("kind", 5, "not_a_string"),
        ("kind", None, "null"),
        ("kind", "", "blank"),
        ("priority", "5", "not_an_integer"),
        ("priority", True, "not_an_integer"),
        ("priority", 5.5, "not_an_integer"),
        ("priority", 2**63, "out_of_range"),
        ("is_urgent", 1, "not_a_boolean"),
        ("legs", {}, "not_a_list"),
        ("parent_id", 7, "not_a_string"),
    ],
)
def test_refuses_json_of_another_type(api: Client, field: str, value: Any, code: str) -> None:
    document = problem(post(api, "jobs", {"kind": "a", field: value}), 400, "invalid_input")
    assert pointers(document) == {f"/{field}": code}


def test_asks_who_is_there(api: Client) -> None:
    response = Client().get("/api/v1/jobs")
    problem(response, 401, "unauthenticated")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    problem(api.get("/api/v1/jobs", headers={"Authorization": "Bearer wrong"}), 401, "unauthenticated")


def test_lets_everybody_into_a_public_view() -> None:
    assert Client().get("/api/v1/open").json() == {"who": "anonymous"}


def test_tells_a_crash_in_one_reply_and_one_line(api: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        response = post(api, "jobs/crash", {"kind": "lost"})
    document = problem(response, 500, "internal_error")
    assert "ZeroDivision" not in response.content.decode()
    assert "fault of ours" not in document["detail"]
    assert len([record for record in caplog.records if record.levelno >= logging.ERROR]) == 1


def test_says_what_a_forbidden_command_could_have_been(api: Client, job: Job) -> None:
    document = problem(post(api, f"jobs/{job.public_id}/cancel", {}), 409, "invalid_transition")
    assert document["current_status"] == "queued"
    assert document["command"] == "cancel"
    assert document["allowed_commands"] == ["discard", "replay"]


def test_records_a_refusal_once(api: Client, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: list[Any] = []
    monkeypatch.setattr("core.commands.record", lambda event, **values: recorded.append((event, values)))
    post(api, f"jobs/{job.public_id}/cancel", {}, **{"Idempotency-Key": "one"})
    assert len(recorded) == 1
    event, values = recorded[0]
    assert event is catalogue["core.command.refused"]
    assert values["subject"] == job
    assert values["data"]["code"] == "invalid_transition"


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("color=red", "?color", "unknown_parameter"),
        ("limit=0", "?limit", "out_of_range"),
        ("limit=101", "?limit", "out_of_range"),
        ("limit=x", "?limit", "out_of_range"),
        ("limit=", "?limit", "blank"),
        ("include_total=1", "?include_total", "not_a_boolean"),
        ("kind=%00", "?kind", "unstorable_character"),
        ("parent=usr_1", "?parent", "malformed_id"),
        ("has_token=maybe", "?has_token", "not_a_boolean"),
        ("created_after=yesterday", "?created_after", "invalid"),
        ("cursor=abc", "?cursor", "invalid_cursor"),
        ("cursor=%C3%A9", "?cursor", "invalid_cursor"),
    ],
)
def test_points_at_a_wrong_parameter(api: Client, query: str, pointer: str, code: str) -> None:
    assert pointers(problem(api.get(f"/api/v1/jobs?{query}"), 400, "invalid_input")) == {pointer: code}


def test_refuses_parameters_of_a_single_row(api: Client, job: Job) -> None:
    problem(api.get(f"/api/v1/jobs/{job.public_id}?limit=5"), 400, "invalid_input")


def test_tells_a_changed_row_by_its_etag(api: Client, job: Job) -> None:
    address = f"/api/v1/jobs/{job.public_id}"
    first = api.get(address)
    assert first.headers["ETag"].startswith('"v1-')
    assert api.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert api.get(address, headers={"If-None-Match": '"v1"'}).status_code == 200

    def patch(tag: str) -> Any:
        return api.patch(address, {"priority": 1}, content_type="application/json", headers={"If-Match": tag})

    assert patch(f"W/{first.headers['ETag']}").headers["ETag"].startswith('"v2-')
    stale = patch('"v1"')
    assert problem(stale, 412, "stale_version")["current_etag"] == '"v2"'
    assert stale.headers["ETag"] == '"v2"'
    assert patch(first.headers["ETag"]).status_code == 412
    wrong = api.patch(
        address, {"rank": 1}, content_type="application/json", headers={"If-Match": first.headers["ETag"]}
    )
    assert pointers(problem(wrong, 400, "invalid_input")) == {"/rank": "unknown_field"}
    assert patch("*").status_code == 200


def test_sends_strict_headers_with_every_reply(api: Client) -> None:
    for path in ("/api/v1/jobs", "/api/v1/jobs/x", "/api/v1/nothing"):
        headers = api.get(path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_takes_a_sane_request_id_and_replaces_others(api: Client) -> None:
    assert api.get("/api/v1/open", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    for wrong in ("a b", "x" * 65, "<b>"):
        assert api.get("/api/v1/open", headers={"X-Request-ID": wrong}).headers["X-Request-ID"] != wrong


def test_writes_ids_and_moments_plainly(api: Client, job: Job) -> None:
    body = api.get(f"/api/v1/jobs/{job.public_id}").json()
    assert body["id"] == encode("job", job.id)
    assert body["created_at"].endswith("Z")
    assert list(body) == ["id", "kind", "state", "priority", "created_at"]
    assert new_id() > job.id


def test_tells_a_crash_of_the_frame_in_one_reply_and_one_line(
    api: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(middleware: Any, request: Any) -> None:
        raise ZeroDivisionError("a fault of the frame")

    monkeypatch.setattr(
        "django.middleware.common.CommonMiddleware.process_request", lambda self, request: crash(request)
    )
    response = api.get("/api/v1/open")
    problem(response, 500, "internal_error")
    lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(lines) == 1
    assert lines[0].exc_info is not None


@pytest.mark.parametrize(
    "body", ['{"kind": "a", "kind": "b"}', '{"kind": "a", "legs": [{"currency": 1, "currency": 2}]}']
)
def test_refuses_an_object_that_names_a_member_twice(api: Client, body: str) -> None:
    reply = api.post("/api/v1/jobs", body, content_type="application/json")
    assert pointers(problem(reply, 400, "invalid_input")) == {"": "duplicate_member"}


def test_counts_a_text_as_it_was_sent(api: Client) -> None:
    reply = api.post("/api/v1/jobs", {"kind": "a" * 99 + "  "}, content_type="application/json")
    assert pointers(problem(reply, 400, "invalid_input")) == {"/kind": "max_length"}
