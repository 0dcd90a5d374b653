"""Real questions about the product, and the section of the handbook that must be the first one quoted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import User
from ai.models import Question
from ai.services import help_pages, questions
from billing.services import payments
from core import clock
from core.actor import SYSTEM
from core.ids import new_id
from tests.billing import factories
from tests.support.index import index_everything

pytestmark = pytest.mark.django_db

# Each with words that its answer must have.
ANSWERS = [
    ("How do I refund a payment?", "how-to/refund", "choose Refund"),
    ("How do I import customers from a CSV file?", "how-to/import-customers", "manage.py import_customers"),
    ("How do I verify the signature of a webhook?", "how-to/webhooks#verify-what-comes", "HMAC-SHA256"),
    ("How do I rotate a webhook secret?", "how-to/webhooks#rotate-the-secret", "both secrets sign"),
    ("What does the API answer when an idempotency key is reused?", "reference/errors", "422"),
    ("Which setting holds the address of the live streams?", "reference/settings#web", "STREAMS_URL"),
    ("Which settings does the assistant have?", "reference/settings#assistant", "AI_PROVIDER"),
    ("Can I run it without Docker?", "tutorial/first-hour", "Python 3.11"),
    ("How do I export a list to Excel?", "how-to/export", "press Export"),
    ("How are invoices numbered?", "how-to/renew#how-invoices-are-numbered", "prefix"),
    ("How do I cancel a subscription?", "tutorial/api#cancel-and-come-back", "end of the period"),
    ("What happens when a payment is declined?", "how-to/renew#when-a-payment-is-declined", "stays open"),
    ("How do I renew subscriptions by hand?", "how-to/renew", "manage.py renew"),
    ("How do I start a worker?", "how-to/run-workers", "celery -A project.celery worker"),
    ("What are the states of a subscription?", "reference/subscription-states", "trialing"),
    ("How do I choose which notifications I get by e-mail?", "how-to/notifications#choose-how-to-be-told", "mail"),
    ("How do I rebuild the search index?", "how-to/search#keeping-it-true", "search_reindex"),
    ("How long is an exported file kept?", "how-to/export", "seven days"),
    ("Which token makes the sandbox decline a card?", "reference/sandbox", "tok_card_declined"),
]


@pytest.fixture
def house(db: None) -> None:
    """The handbook, among records that share its words."""
    help_pages.publish(actor=SYSTEM, now=clock.now())
    entity = factories.entity(invoice_prefix="INV")
    price = factories.price(amount_minor=4995)
    for number in range(20):
        customer = factories.customer(
            name=f"Customer {number}",
            email=f"customer{number}@example.com",
            billing_entity=entity,
            token="tok_card_declined" if number % 5 == 0 else "tok_success",
        )
        invoice = factories.invoice(customer, running=factories.subscription(customer, price))
        payments.create(actor=SYSTEM, invoice=invoice, operation_key=f"house:{number}", now=clock.now())
    index_everything()


@pytest.fixture
def ask(house: None, staff: User, actor_of: Any) -> Callable[[str], Question]:
    def asked(text: str) -> Question:
        return questions.ask(actor=actor_of(staff), text=text, operation_key=new_id().hex, now=clock.now())

    return asked


def test_quotes_the_right_section_first(ask: Callable[[str], Question]) -> None:
    wrong = []
    for text, place, words in ANSWERS:
        question = ask(text)
        places = [citation["url"].removeprefix("/help/") for citation in question.citations]
        if places[:1] != [place] or words not in question.answer:
            wrong.append((text, places, question.answer))
    assert not wrong


def test_numbers_its_sources_in_the_order_of_the_text(ask: Callable[[str], Question]) -> None:
    for text, _, _ in ANSWERS:
        question = ask(text)
        marks = [int(number) for number in re.findall(r" \[(\d)\](?=\n|$)", question.answer)]
        assert list(dict.fromkeys(marks)) == list(range(1, max(marks) + 1)), text
        assert sorted({citation["number"] for citation in question.citations}) == sorted(set(marks)), text
        assert len({citation["id"] for citation in question.citations}) == max(marks), text


def test_answers_how_with_all_steps_and_no_row_of_a_table(ask: Callable[[str], Question]) -> None:
    question = ask("How do I refund a payment?")
    steps = question.citations[0]["quote"].splitlines()
    assert [step[:3] for step in steps] == ["1. ", "2. ", "3. ", "4. "]
    assert " · " not in question.answer


def test_finds_nothing_where_the_handbook_says_nothing(ask: Callable[[str], Question]) -> None:
    question = ask("Who won the football championship of 1974?")
    assert (question.is_grounded, question.citations) == (False, [])
