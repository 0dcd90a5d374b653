"""The assistant over REST."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from accounts.services import api_keys
from ai.models import HelpPage, Question
from core import clock
from core.ids import new_id
from search.documents import document_types
from search.services import indexing
from tests.support.gemini import Gemini, Reply, quota, wrong_key

pytestmark = pytest.mark.django_db
ASK = "/api/v1/ai/ask"
MONEY = {"question": "How do I give money back?"}


@pytest.fixture(autouse=True)
def page() -> HelpPage:
    made = HelpPage.objects.create(
        page="how-to/refund",
        anchor="",
        title="Give money back",
        page_title="Refunds",
        body="To give money back choose Refund on the payment.",
    )
    indexing.index(document_types["help_page"], [made.pk])
    return made


def test_answers_with_citations_and_usage(api: Any, owner: User, page: HelpPage) -> None:
    reply = api(owner).post(ASK, MONEY)
    assert reply.status_code == 200, reply.content
    shown = reply.json()
    assert shown["answer"] == "To give money back choose Refund on the payment. [1]"
    assert shown["citations"][0]["id"] == page.public_id
    assert shown["usage"] == {
        "tokens_in": 0, "tokens_out": 0, "cost_micro": 0, "is_cost_bound": False, "currency": "USD",
    }  # fmt: skip
    assert (shown["provider"], shown["status"]) == ("local", "answered")


def test_answers_the_same_key_with_the_same_bytes(api: Any, owner: User) -> None:
    client, headers = api(owner), {"Idempotency-Key": "again"}
    first, second = (client.post(ASK, MONEY, headers=headers) for _ in range(2))
    assert first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Question.objects.count() == 1
    assert client.post(ASK, {"question": "Other?"}, headers=headers).status_code == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/question"),
        ({"question": ""}, "/question"),
        ({"question": "x" * 2001}, "/question"),
        ({"question": 5}, "/question"),
        ({"question": "Why?", "stream": "yes"}, "/stream"),
        ({"question": "Why?", "model": "other"}, "/model"),
    ],
)
def test_points_at_faults(api: Any, owner: User, body: dict[str, Any], pointer: str) -> None:
    reply = api(owner).post(ASK, body)
    assert reply.status_code == 400
    assert reply.json()["errors"][0]["pointer"] == pointer


def test_keeps_questions_for_who_asked(api: Any, owner: User, team_mate: User, staff: User) -> None:
    asked = api(owner).post(ASK, MONEY).json()
    assert [row["id"] for row in api(owner).get("/api/v1/ai/questions").json()["data"]] == [asked["id"]]
    assert api(owner).get(f"/api/v1/ai/questions/{asked['id']}").json() == asked
    for other in (team_mate, staff):
        client = api(other)
        assert client.get("/api/v1/ai/questions").json()["data"] == []
        assert client.get(f"/api/v1/ai/questions/{asked['id']}").status_code == 404
        body = {"feedback": "helpful"}
        assert client.post(f"/api/v1/ai/questions/{asked['id']}/feedback", body).status_code == 404


def test_takes_feedback(api: Any, owner: User) -> None:
    client = api(owner)
    asked = client.post(ASK, MONEY).json()
    reply = client.post(f"/api/v1/ai/questions/{asked['id']}/feedback", {"feedback": "helpful", "note": "Yes."})
    assert reply.status_code == 200, reply.content
    assert (reply.json()["feedback"], reply.json()["feedback_note"]) == ("helpful", "Yes.")


def test_answers_a_key_within_its_scopes(api: Any, owner: User, organization: Any, actor_of: Any) -> None:
    def key(scope: str) -> Any:
        made = api_keys.create(
            actor=actor_of(owner), organization=organization, name="robot", scopes=(scope,), now=clock.now()
        )
        return api().carry(made[1])

    robot = key("ai.question.ask")
    asked = robot.post(ASK, MONEY)
    assert asked.status_code == 200, asked.content
    assert [row["id"] for row in robot.get("/api/v1/ai/questions").json()["data"]] == [asked.json()["id"]]
    other = key("billing.invoice.view")
    assert other.post(ASK, MONEY).status_code == 403
    assert other.get("/api/v1/ai/questions").status_code == 403
    assert key("ai.*").get("/api/v1/ai/questions").json()["data"] == []  # another key's questions are not its own


def test_has_a_limit_of_its_own(api: Any, owner: User) -> None:
    client = api(owner)
    for _ in range(20):
        reply = client.post(ASK, MONEY)
        assert reply.status_code == 200
    assert reply.headers["RateLimit-Policy"].startswith('"ask"')
    refused = client.post(ASK, MONEY)
    assert (refused.status_code, refused.json()["policy"]) == (429, "ask")
    assert client.get("/api/v1/ai/questions").status_code == 200


def test_says_that_the_quota_of_the_provider_is_used_up(api: Any, owner: User, google: Gemini) -> None:
    google.answers(quota("7s"))
    reply = api(owner).post(ASK, MONEY)
    assert (reply.status_code, reply.json()["code"]) == (429, "provider_quota_reached")
    assert reply.headers["Retry-After"] == "7"
    assert reply.json()["provider_message"].startswith("You exceeded your current quota")
    assert reply.json()["question_id"] == Question.objects.get().public_id


def test_says_502_with_a_code_to_an_answer_of_unknown_shape(api: Any, owner: User, google: Gemini) -> None:
    google.answers(Reply(body={"candidates": [{"content": {"parts": [{"text": "{}"}]}, "finishReason": "STOP"}]}))
    reply = api(owner).post(ASK, MONEY)
    assert (reply.status_code, reply.json()["code"]) == (502, "provider_answer_invalid")
    assert Question.objects.get().answer == ""


def test_names_the_setting_of_a_wrong_key_and_never_the_key(api: Any, owner: User, google: Gemini) -> None:
    google.answers(wrong_key())
    reply = api(owner).post(ASK, MONEY)
    assert (reply.status_code, reply.json()["code"]) == (500, "provider_misconfigured")
    assert "key-of-the-tests" not in reply.content.decode()


def test_promises_a_stream_with_a_ticket_that_is_not_kept(api: Any, owner: User) -> None:
    client, headers = api(owner), {"Idempotency-Key": "stream"}
    reply = client.post(ASK, {**MONEY, "stream": True}, headers=headers)
    assert reply.status_code == 201, reply.content
    shown = reply.json()
    assert shown["ticket"] in shown["url"]
    assert reply.headers["Location"] == f"/api/v1/ai/questions/{shown['question_id']}"
    assert client.get(reply.headers["Location"]).json()["status"] == "waiting"
    again = client.post(ASK, {**MONEY, "stream": True}, headers=headers)
    assert (again.status_code, again.json()["code"]) == (409, "reply_not_kept")


@pytest.mark.parametrize("number", [5, 50])
def test_lists_with_the_same_number_of_queries(
    api: Any, owner: User, number: int, django_assert_num_queries: Any
) -> None:
    client = api(owner)
    fixed = {"asker_id": owner.pk, "asker_type": "user", "payer": "x", "text": "?", "provider": "local", "model": "m"}
    fixed |= {"status": "answered", "currency": "USD", "finished_at": owner.created_at}
    rows = [Question(**fixed, operation_key=new_id().hex) for _ in range(number)]
    Question.objects.bulk_create(rows)
    client.get("/api/v1/ai/questions?limit=100")
    with django_assert_num_queries(1):
        assert len(client.get("/api/v1/ai/questions?limit=100").json()["data"]) == number
