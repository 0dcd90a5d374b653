"""The assistant's page in the admin, and its line in the box that finds anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from ai.models import HelpPage, Question
from core import palette
from search.documents import document_types
from search.services import indexing
from tests.billing import factories
from tests.support import browser
from tests.support.browser import sign_in
from tests.support.gemini import Gemini, quota
from tests.support.processes import Processes, free_port

BODY = "Staff do it at the desk.\n\nTo give money back open the payment and choose Refund."


@pytest.fixture
def page(db: None) -> HelpPage:
    made = HelpPage.objects.create(page="how-to/refund", title="Give money back", page_title="Refunds", body=BODY)
    indexing.index(document_types["help_page"], [made.pk])
    return made


@pytest.fixture
def desk(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def asked(desk: Client, text: str = "How do I give money back?") -> Any:
    return desk.post("/admin/assistant/ask/", {"question": text})


@pytest.mark.django_db
def test_shows_a_box_examples_and_an_empty_state(desk: Client) -> None:
    reply = desk.get("/admin/assistant/?q=Why%3F")
    text = reply.content.decode()
    assert "data-example" in text
    assert "Nothing yet. Only you see what you are answered." in text
    assert re.search(r"<textarea[^>]*>Why\?</textarea>", text)
    assert not Question.objects.exists()  # a link alone asks nothing


@pytest.mark.django_db
def test_answers_with_links_to_what_it_cites(desk: Client, page: HelpPage) -> None:
    promised = asked(desk)
    assert promised.status_code == 201
    shown = desk.post(f"/admin/assistant/{promised.json()['id']}/answer/").json()
    assert shown["answer"] == "To give money back open the payment and choose Refund. [1]"
    assert shown["citations"][0]["link"] == "/help/how-to/refund"
    rated = desk.post(f"/admin/assistant/{promised.json()['id']}/feedback/", {"feedback": "helpful"})
    assert rated.json()["feedback"] == "helpful"


@pytest.mark.django_db
def test_leads_to_the_page_of_a_record(desk: Client, staff: User, actor_of: Any) -> None:
    customer = factories.customer(name="Quokka Corp")
    indexing.index(document_types["customer"], [customer.pk])
    shown = desk.post(f"/admin/assistant/{asked(desk, 'Who is Quokka Corp?').json()['id']}/answer/").json()
    assert shown["citations"][0]["link"] == f"/admin/billing/customer/{customer.pk}/change/"
    assert desk.get(f"/admin/assistant/{shown['id']}/").json() == shown


@pytest.mark.django_db
def test_says_on_the_page_what_is_set_wrongly(desk: Client, settings: Any) -> None:
    settings.AI_PROVIDER = "gemini"
    assert "GEMINI_API_KEY is not set." in desk.get("/admin/assistant/").content.decode()


@pytest.mark.django_db
def test_gives_the_ticket_of_a_stream_where_there_is_one(desk: Client, settings: Any) -> None:
    settings.STREAMS_URL = "http://streams.example"
    assert asked(desk).json()["stream"].startswith("http://streams.example/streams/ask?ticket=st_")


@pytest.mark.django_db
@pytest.mark.parametrize(("text", "status"), [("", 400), ("x" * 2001, 400)])
def test_says_what_is_wrong_with_a_question(desk: Client, text: str, status: int) -> None:
    reply = asked(desk, text)
    assert (reply.status_code, reply.json()["code"]) == (status, "invalid_input")


@pytest.mark.django_db
def test_tells_a_failure_with_its_code(desk: Client, google: Gemini, page: HelpPage) -> None:
    google.answers(quota())
    reply = desk.post(f"/admin/assistant/{asked(desk).json()['id']}/answer/")
    assert (reply.status_code, reply.json()["code"]) == (429, "provider_quota_reached")


@pytest.mark.django_db
def test_shows_nobody_the_questions_of_another(desk: Client, staff: User, page: HelpPage) -> None:
    from tests.cast import new_person

    identifier = asked(desk).json()["id"]
    other = Client()
    other.force_login(new_person("sid@countinghouse.example", is_staff=True))
    for reply in (
        other.get(f"/admin/assistant/{identifier}/"),
        other.post(f"/admin/assistant/{identifier}/answer/"),
        other.post(f"/admin/assistant/{identifier}/feedback/", {"feedback": "helpful"}),
        other.get("/admin/assistant/ask_nothing/"),
    ):
        assert reply.status_code == 404
    assert b"give money back" not in other.get("/admin/assistant/").content.replace(b"data-example", b"")


@pytest.mark.django_db
def test_is_for_staff_alone(owner: User) -> None:
    client = Client()
    for _ in range(2):
        assert client.get("/admin/assistant/").status_code == 302
        assert client.post("/admin/assistant/ask/", {"question": "Why?"}).status_code == 302
        client.force_login(owner)
    assert not Question.objects.exists()


@pytest.mark.django_db
def test_offers_to_ask_what_reads_like_a_question(staff: User, actor_of: Any, page: HelpPage) -> None:
    def offers(term: str, kind: str = "Assistant") -> list[Any]:
        return [group for group in palette.find(term, actor=actor_of(staff)).groups if group["kind"] == kind]

    offered = offers("how do refunds work")
    assert offered[0]["items"][0]["url"] == "/admin/assistant/?q=how+do+refunds+work"
    assert not offers("acme")
    assert offers("give money", "Help")[0]["items"][0]["url"] == "/help/how-to/refund"


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@browser.needs_chromium
@pytest.mark.parametrize("is_streamed", [True, False])
def test_answers_in_the_browser(processes: Processes, staff: User, page: HelpPage, is_streamed: bool) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    streams = processes.streams(PUBLIC_URL=url).url if is_streamed else ""
    processes.web(port=port, STREAMS_URL=streams)

    def way(page: Any, picture: Callable[[str], None]) -> None:
        sign_in(page, staff.email)
        page.goto("/admin/assistant/")
        picture("assistant-empty")
        page.fill("#ch-ask-text", "How do I give money back?")
        page.keyboard.press("Enter")
        page.wait_for_selector(".ch-sources q")
        assert "choose Refund. [1]" in page.inner_text(".ch-answer__text")
        picture("assistant")
        page.click("button:has-text('Helpful')")
        page.wait_for_selector("[aria-pressed=true]")
        page.click(".ch-sources .ch-link")
        page.wait_for_selector("h1:has-text('Help one customer')")
        picture("help-page")

    browser.go(url, way)
    assert Question.objects.get().feedback == "helpful"
