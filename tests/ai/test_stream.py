"""Answers as they are written, served by a real process of streams; and what is left when a process is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from ai.models import DailySpend, HelpPage, Question
from ai.services import questions
from audit.models import Event
from core import clock
from core.actor import SYSTEM, Actor
from search.documents import document_types
from search.services import indexing
from tests.ai.conftest import PRICES
from tests.support.events import Events
from tests.support.gemini import MODEL, Gemini, Reply, quota, streamed, written
from tests.support.processes import Processes, Running, Web

pytestmark = pytest.mark.django_db(transaction=True)
BODY = "To give money back choose Refund on the payment."
ANSWER = written("Choose Refund on the payment, and “say why”. [1]", (1, "choose Refund on the payment"))


@pytest.fixture(autouse=True)
def page(db: None) -> HelpPage:
    made = HelpPage.objects.create(page="how-to/refund", title="Give money back", page_title="Refunds", body=BODY)
    indexing.index(document_types["help_page"], [made.pk])
    return made


def environment(google: Gemini) -> dict[str, str]:
    return {
        "AI_PROVIDER": "gemini",
        "GEMINI_API_KEY": "key-of-the-tests",
        "GEMINI_MODEL": MODEL,
        "GEMINI_BASE_URL": google.url,
        "AI_PRICES": json.dumps(PRICES),
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def house(processes: Processes, google: Gemini, settings: Any) -> Web:
    found = processes.streams(**environment(google))
    settings.STREAMS_URL = found.url
    return found


@pytest.fixture
def opened(house: Web) -> Iterator[Callable[..., Events]]:
    found: list[Events] = []

    def open_(client: Any, text: str = "How do I give money back?") -> Events:
        reply = client.post("/api/v1/ai/ask", {"question": text, "stream": True})
        assert reply.status_code == 201, reply.content
        found.append(Events(reply.json()["url"]))
        return found[-1]

    yield open_
    for one in found:
        one.close()


def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_tells_the_words_as_they_come_and_then_what_supports_them(
    api: Any, owner: User, opened: Any, google: Gemini, page: HelpPage
) -> None:
    google.answers(Reply(pieces=streamed(ANSWER, size=9), pause=0.05))
    messages = opened(api(owner)).rest()
    deltas = [one.data["text"] for one in messages if one.event == "delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == "Choose Refund on the payment, and “say why”. [1]"
    assert [one.event for one in messages[len(deltas) :]] == ["citation", "done"]
    assert messages[-2].data["id"] == page.public_id
    done = messages[-1].data
    assert (done["status"], done["usage"]["tokens_in"]) == ("answered", 900)
    assert api(owner).get(f"/api/v1/ai/questions/{done['id']}").json() == done


def test_ends_with_the_problem_and_keeps_it(api: Any, owner: User, opened: Any, google: Gemini) -> None:
    google.answers(quota())
    (message,) = opened(api(owner)).rest()
    assert (message.event, message.data["code"]) == ("error", "provider_quota_reached")
    assert Question.objects.get().failure_code == "provider_quota_reached"


def test_takes_its_words_back_when_they_are_supported_by_nothing(
    api: Any, owner: User, opened: Any, google: Gemini
) -> None:
    google.answers(Reply(pieces=streamed(written("Send gold. [1]", (1, "send gold")))))
    messages = opened(api(owner)).rest()
    assert (messages[-1].event, messages[-1].data["code"]) == ("error", "answer_unsupported")
    assert Question.objects.get().answer == ""


def test_finishes_and_counts_an_answer_whose_reader_left(api: Any, owner: User, opened: Any, google: Gemini) -> None:
    google.answers(Reply(pieces=streamed(ANSWER, size=9), pause=0.2))
    stream = opened(api(owner))
    assert stream.next().event == "delta"
    stream.close()
    until(lambda: Question.objects.get().status == "answered")
    question = Question.objects.get()
    assert question.cost_micro == 520
    assert Event.objects.filter(type="ai.question.answered", subject_id=question.pk).count() == 1


def test_is_for_who_asked_alone(api: Any, owner: User, team_mate: User, house: Web) -> None:
    asked = api(owner).post("/api/v1/ai/ask", {"question": "Mine?", "stream": True}).json()
    body = {"stream": "ask", "parameters": {"question_id": asked["question_id"]}}
    for other in (body, {"stream": "ask", "parameters": {"question_id": "ask_made_up"}}, {"stream": "ask"}):
        reply = api(team_mate).post("/api/v1/streams/tickets", other)
        assert reply.status_code == 404, reply.content


def test_leaves_a_question_unknown_when_its_process_is_killed_and_resolves_it(
    api: Any, owner: User, opened: Any, google: Gemini, house: Running, actor_of: Callable[[User], Actor]
) -> None:
    google.answers(Reply(pieces=streamed(ANSWER, size=9), pause=1))
    stream = opened(api(owner))
    assert stream.next().event == "delta"
    house.kill()
    question = Question.objects.get()
    assert question.status == "asking"
    promised = DailySpend.objects.get().reserved_micro
    assert promised == question.reserved_micro > 0
    assert questions.give_up(actor=SYSTEM, question=question, now=clock.now()).status == "asking"  # its lease holds
    Question.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    given_up = questions.give_up(actor=SYSTEM, question=question, now=clock.now())
    assert (given_up.status, given_up.failure_code) == ("failed", "answer_lost")
    assert (given_up.cost_micro, given_up.is_cost_bound) == (promised, True)
    spend = DailySpend.objects.get()
    assert (spend.spent_micro, spend.reserved_micro) == (promised, 0)
    assert Event.objects.get(type="ai.question.failed").data["is_cost_bound"] is True
