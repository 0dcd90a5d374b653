"""Questions: what is answered, what it costs, and what is left of those that are not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Organization, User
from ai import events
from ai.costs import Price, Usage
from ai.errors import (
    AnswerBlocked,
    AnswerInvalid,
    AnswerLate,
    AnswerUnsupported,
    BudgetReached,
    ProviderQuotaReached,
)
from ai.models import DailySpend, HelpPage, Question
from ai.providers.base import Completion, Quote
from ai.selectors import questions as selectors
from ai.services import citations, help_pages, questions
from ai.states import QUESTION, Feedback, Status
from audit.models import Event
from core import clock, context
from core.actor import ANONYMOUS, SYSTEM, Actor
from core.errors import Forbidden, IdempotencyReused, InvalidInput, InvalidTransition, NotFound, RequestInProgress
from core.ids import new_id
from core.models import PersonKey
from search.documents import document_types
from search.selectors import Passage
from search.services import indexing
from tests.ai.conftest import PRICES
from tests.support import gemini
from tests.support.gemini import Gemini, Reply, piece, usage, whole, written

pytestmark = pytest.mark.django_db
ActorOf = Callable[[User], Actor]
REFUND = "To give money back open the payment and choose Refund: the whole of it, or a part."


@pytest.fixture
def page() -> HelpPage:
    """One help page in the index."""
    made = HelpPage.objects.create(
        page="how-to/refund",
        anchor="give",
        title="Give money back",
        page_title="Refunds",
        body=f"Staff do it.\n\n{REFUND}",
    )
    indexing.index(document_types["help_page"], [made.pk])
    return made


def ask(actor: Actor, text: str = "How do I give money back?", key: str = "", **more: Any) -> Question:
    return questions.ask(actor=actor, text=text, operation_key=key or new_id().hex, now=clock.now(), **more)


def told(event: Any) -> Event:
    return Event.objects.get(type=event.name)


def test_answers_by_quoting_what_was_found(owner: User, actor_of: ActorOf, page: HelpPage) -> None:
    question = ask(actor_of(owner))
    assert question.status == Status.ANSWERED
    assert question.is_grounded
    assert question.answer == f"{REFUND} [1]"
    (citation,) = question.citations
    assert citation["id"] == page.public_id
    assert citation["url"] == "/help/how-to/refund#give"
    assert (citation["version"], citation["quote"]) == (page.version, REFUND)
    assert page.body[citation["start"] : citation["end"]] == REFUND


def test_says_plainly_that_it_found_nothing(owner: User, actor_of: ActorOf, page: HelpPage) -> None:
    question = ask(actor_of(owner), "Who won the football championship of 1974?")
    assert (question.is_grounded, question.citations) == (False, [])
    assert "found nothing" in question.answer


def test_records_each_call_with_the_words_as_the_askers_own(owner: User, actor_of: ActorOf, page: HelpPage) -> None:
    question = ask(actor_of(owner))
    event = told(events.QUESTION_ANSWERED)
    assert event.subject_id == question.pk
    assert event.data["provider"] == "local"
    assert {"tokens_in", "tokens_out", "cost_micro", "latency_ms", "currency"} <= event.data.keys()
    assert event.data["question"]["person"] == f"user:{owner.pk}"
    assert "money" not in str(event.data)
    assert PersonKey.objects.filter(person_id=owner.pk).exists()


def test_counts_what_a_paid_answer_used(owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini) -> None:
    google.answers(
        whole(written("Choose Refund. [1]", (1, "choose   Refund")), tokens_in=1000, tokens_out=100, thoughts=7)
    )
    question = ask(actor_of(owner))
    assert (question.tokens_in, question.tokens_out) == (1000, 107)
    assert question.cost_micro == 568  # 1000 * 0.3 + 107 * 2.5 = 567.5
    assert not question.is_cost_bound
    spend = DailySpend.objects.get()
    assert (spend.spent_micro, spend.reserved_micro) == (568, 0)
    assert question.citations[0]["quote"] == "choose Refund"


def test_answers_the_same_key_once(owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini) -> None:
    first = ask(actor_of(owner), key="k")
    assert ask(actor_of(owner), key="k").pk == first.pk
    assert len(google.asked) == 1
    with pytest.raises(IdempotencyReused):
        ask(actor_of(owner), "Something else?", key="k")


def test_refuses_who_is_not_signed_in(page: HelpPage) -> None:
    with pytest.raises(Forbidden):
        ask(ANONYMOUS)


@pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
def test_refuses_questions_that_are_none(owner: User, actor_of: ActorOf, text: str) -> None:
    with pytest.raises(InvalidInput):
        ask(actor_of(owner), text)


def test_shows_a_question_to_who_asked_and_to_nobody_else(
    owner: User, team_mate: User, staff: User, actor_of: ActorOf, page: HelpPage
) -> None:
    question = ask(actor_of(owner))
    assert list(selectors.own(actor_of(owner))) == [question]
    for other in (team_mate, staff):
        assert not selectors.own(actor_of(other))
        with pytest.raises(NotFound):
            questions.rate(actor=actor_of(other), question=question, feedback=Feedback.HELPFUL, now=clock.now())


def test_hears_whether_an_answer_helped(owner: User, actor_of: ActorOf, page: HelpPage) -> None:
    question = questions.rate(
        actor=actor_of(owner),
        question=ask(actor_of(owner)),
        feedback=Feedback.NOT_HELPFUL,
        note="Old.",
        now=clock.now(),
    )
    assert question.feedback == "not_helpful"
    assert told(events.QUESTION_RATED).after == {"feedback": "not_helpful"}


# --- failures -------------------------------------------------------------------------------------------------------


def test_keeps_a_refusal_with_its_code_and_cost(owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini) -> None:
    google.answers(Reply(body={"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage(1000, 0, 0)}))
    with pytest.raises(AnswerBlocked) as caught:
        ask(actor_of(owner))
    question = Question.objects.get()
    assert caught.value.extra["question_id"] == question.public_id
    assert (question.status, question.failure_code, question.cost_micro) == ("failed", "answer_blocked", 300)
    assert told(events.QUESTION_FAILED).data["failure_code"] == "answer_blocked"
    assert DailySpend.objects.get().reserved_micro == 0


def test_rejects_an_answer_whose_quotations_stand_nowhere(
    owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini
) -> None:
    google.answers(whole(written("Send us gold. [1] [9]", (1, "send us gold"), (9, "choose Refund"))))
    with pytest.raises(AnswerUnsupported) as caught:
        ask(actor_of(owner))
    assert (caught.value.status, caught.value.code) == (502, "answer_unsupported")
    assert Question.objects.get().cost_micro > 0


def test_counts_the_most_where_the_provider_did_not_count(
    owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini
) -> None:
    google.answers(Reply(body=piece("no JSON", "STOP")))
    with pytest.raises(AnswerInvalid):
        ask(actor_of(owner))
    question = Question.objects.get()
    assert question.is_cost_bound
    assert question.cost_micro == DailySpend.objects.get().spent_micro > 0


def test_leaves_a_question_without_answer_unknown_until_it_is_given_up(
    owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini, settings: Any
) -> None:
    settings.AI_TIMEOUT = 1
    google.answers(Reply(body=piece("late", "STOP"), seconds=2))
    with pytest.raises(AnswerLate):
        ask(actor_of(owner), key="late")
    question = Question.objects.get()
    assert (question.status, question.cost_micro) == ("unknown", 0)
    promised = DailySpend.objects.get().reserved_micro
    assert promised == question.reserved_micro > 0
    assert (
        questions.give_up(actor=SYSTEM, question=question, now=clock.now()).status == "unknown"
    )  # it may yet be asked
    Question.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    given_up = questions.give_up(actor=SYSTEM, question=question, now=clock.now())
    assert (given_up.status, given_up.failure_code, given_up.is_cost_bound) == ("failed", "answer_lost", True)
    spend = DailySpend.objects.get()
    assert (spend.spent_micro, spend.reserved_micro) == (promised, 0)


def test_asks_again_under_the_same_key_and_counts_both(
    owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini, settings: Any
) -> None:
    settings.AI_TIMEOUT = 1
    google.answers(Reply(body=piece("late", "STOP"), seconds=2))
    with pytest.raises(AnswerLate):
        ask(actor_of(owner), key="late")
    lost = Question.objects.get().reserved_micro
    google.next = gemini.quoting
    question = ask(actor_of(owner), key="late")
    assert (question.status, question.attempt_count, question.is_cost_bound) == ("answered", 2, True)
    assert question.cost_micro == lost + Price(300_000, 2_500_000).cost(Usage(900, 100))
    spend = DailySpend.objects.get()
    assert (spend.spent_micro, spend.reserved_micro) == (question.cost_micro, 0)


def test_does_not_ask_twice_at_once(owner: User, actor_of: ActorOf, page: HelpPage) -> None:
    question = ask(actor_of(owner), key="k")
    with pytest.raises(InvalidTransition):
        questions.answer(actor=actor_of(owner), question=question, now=clock.now())
    waiting = questions.promise(actor=actor_of(owner), text="Is it?", operation_key="w", now=clock.now())
    Question.objects.filter(pk=waiting.pk).update(status="asking", lease_until=clock.now() + timedelta(minutes=1))
    with pytest.raises(RequestInProgress):
        ask(actor_of(owner), "Is it?", key="w")
    waiting.refresh_from_db()
    with pytest.raises(RequestInProgress):
        questions.answer(actor=actor_of(owner), question=waiting, now=clock.now())


def test_goes_on_under_the_same_key_after_whoever_asked_was_killed(
    owner: User, actor_of: ActorOf, page: HelpPage
) -> None:
    left = questions.promise(
        actor=actor_of(owner), text="How do I give money back?", operation_key="k", now=clock.now()
    )
    over = clock.now() - timedelta(seconds=1)
    Question.objects.filter(pk=left.pk).update(status="asking", lease_until=over, attempt_count=1)
    question = ask(actor_of(owner), key="k")
    assert (question.pk, question.status, question.attempt_count) == (left.pk, "answered", 2)


def test_does_not_ask_again_what_failed_by_a_stream(
    owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini
) -> None:
    google.answers(gemini.quota())
    with pytest.raises(ProviderQuotaReached):
        ask(actor_of(owner))
    with pytest.raises(InvalidTransition):
        questions.answer(actor=actor_of(owner), question=Question.objects.get(), now=clock.now())
    assert len(google.asked) == 1


def test_gives_up_a_stream_that_nobody_opened(owner: User, actor_of: ActorOf) -> None:
    question = questions.promise(actor=actor_of(owner), text="Hello?", operation_key="w", now=clock.now())
    assert not selectors.abandoned(clock.now())
    assert list(selectors.abandoned(clock.now() + timedelta(minutes=2))) == [question]
    Question.objects.update(lease_until=clock.now() - timedelta(seconds=1))
    given_up = questions.give_up(actor=SYSTEM, question=question, now=clock.now())
    assert (given_up.failure_code, given_up.cost_micro) == ("stream_not_opened", 0)


# --- budget ---------------------------------------------------------------------------------------------------------


def test_refuses_what_the_budget_of_the_day_does_not_cover(
    owner: User, actor_of: ActorOf, page: HelpPage, google: Gemini, settings: Any, organization: Organization
) -> None:
    settings.AI_DAILY_BUDGET = 0
    with context.changed(organization_id=organization.pk), pytest.raises(BudgetReached) as caught:
        ask(actor_of(owner))
    assert (caught.value.status, caught.value.code) == (429, "ai_budget_reached")
    assert 0 < int(caught.value.headers["Retry-After"]) <= 86400
    assert not google.asked
    assert not Question.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_promises_the_last_of_a_budget_once(
    owner: User, actor_of: ActorOf, google: Gemini, settings: Any, organization: Organization
) -> None:
    made = HelpPage.objects.create(page="how-to/x", anchor="", title="Money", page_title="Money", body=REFUND)
    indexing.index(document_types["help_page"], [made.pk])
    actor, results, gate = actor_of(owner), [], threading.Barrier(8)
    # Room for two at once.
    ask(actor, "How do I give money back?")
    settings.AI_DAILY_BUDGET = DailySpend.objects.get().spent_micro
    probe = questions.providers.get()
    from ai.providers.base import Source

    bound = probe.price.bound(probe.bound("How do I give money back?", [Source("Money", REFUND)]))
    settings.AI_DAILY_BUDGET += 2 * bound
    google.next = lambda body: Reply(**{**vars(gemini.quoting(body)), "seconds": 1})

    def run() -> None:
        gate.wait()
        try:
            results.append(ask(actor, "How do I give money back?").status)
        except BudgetReached:
            results.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["answered"] * 2 + ["refused"] * 6
    spend = DailySpend.objects.get()
    assert spend.reserved_micro == 0
    assert spend.spent_micro == sum(Question.objects.values_list("cost_micro", flat=True))


@pytest.mark.django_db(transaction=True)
def test_asks_once_for_one_key_sent_many_times_at_once(owner: User, actor_of: ActorOf, google: Gemini) -> None:
    made = HelpPage.objects.create(page="how-to/x", anchor="", title="Money", page_title="Money", body=REFUND)
    indexing.index(document_types["help_page"], [made.pk])
    google.next = lambda body: Reply(**{**vars(gemini.quoting(body)), "seconds": 1})
    results: list[str] = []
    gate = threading.Barrier(6)

    def run() -> None:
        gate.wait()
        try:
            results.append(ask(actor_of(owner), key="same").status)
        except RequestInProgress:
            results.append("in progress")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["answered"] + ["in progress"] * 5
    assert len(google.asked) == 1
    assert DailySpend.objects.get().reserved_micro == 0


# --- arithmetic -----------------------------------------------------------------------------------------------------

_counts = st.integers(0, 10**9)


@given(_counts, _counts, _counts, _counts)
def test_rounds_a_cost_once_and_never_beyond_its_bound(tokens_in: int, tokens_out: int, given: int, made: int) -> None:
    price, used = Price(given, made), Usage(tokens_in, tokens_out)
    cost, exact = price.cost(used), tokens_in * given + tokens_out * made
    assert abs(cost * 1_000_000 - exact) * 2 <= 1_000_000
    assert cost <= price.bound(used) <= cost + 1
    assert price.bound(used) * 1_000_000 >= exact


@given(_counts, _counts, _counts, _counts)
def test_costs_more_for_more(one: int, two: int, more: int, still_more: int) -> None:
    price = Price(PRICES[gemini.MODEL]["input"], PRICES[gemini.MODEL]["output"])
    assert price.cost(Usage(one, two)) <= price.cost(Usage(one, two) + Usage(more, still_more))


# --- citations ------------------------------------------------------------------------------------------------------


def _passage(text: str, start: int = 0) -> Passage:
    return Passage("help_page", new_id(), "hlp_x", "T", "/help/x", 3, text, start, start + len(text), 1.0)


_texts = st.text(st.sampled_from("ab .\n[1]é"), min_size=1, max_size=60)


@given(st.lists(_texts, min_size=1, max_size=4), st.lists(st.tuples(st.integers(-2, 7), _texts), max_size=6), _texts)
def test_keeps_only_quotations_that_stand_where_they_say(
    texts: list[str], quotes: list[tuple[int, str]], text: str
) -> None:
    passages = [_passage(one, start=100 * at) for at, one in enumerate(texts)]
    completion = Completion(text, [Quote(number, words) for number, words in quotes], True, Usage(), "m")
    try:
        _, cited, is_grounded = citations.checked(completion, passages)
    except AnswerUnsupported:
        return
    assert cited
    assert is_grounded
    for one in cited:
        number = one["start"] // 100 + 1
        passage = passages[number - 1]
        assert passage.text[one["start"] - passage.start : one["end"] - passage.start] == one["quote"]
        assert one["quote"].split() in [words.split() for named, words in quotes if named == number]
    numbers = [one["number"] for one in cited]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, max(numbers) + 1))


def test_takes_numbers_out_of_the_text_that_no_quotation_stands_for() -> None:
    completion = Completion("Yes [1, 2]. No [7].", [Quote(2, "b")], True, Usage(), "m")
    text, cited, _ = citations.checked(completion, [_passage("a"), _passage("b")])
    assert text == "Yes [1]. No."
    assert [(one["number"], one["quote"]) for one in cited] == [(1, "b")]


def test_numbers_documents_in_the_order_in_which_the_text_names_them() -> None:
    first, second, third = _passage("a"), _passage("b"), _passage("c")
    passages = [first, second, replace(second, text="d", start=200), third]
    quotes = [Quote(number, words) for number, words in enumerate("abdc", 1)]
    completion = Completion("C [4]. B [2, 3]. C [4, 2].", quotes, True, Usage(), "m")
    text, cited, _ = citations.checked(completion, passages)
    assert text == "C [1]. B [2]. C [1, 2]."
    assert [(one["number"], one["quote"]) for one in cited] == [(1, "c"), (2, "b"), (2, "d"), (3, "a")]


@given(st.lists(_texts, min_size=1, max_size=8))
def test_tells_the_words_as_they_come_as_they_will_stand(pieces: list[str]) -> None:
    passages = [_passage("a"), _passage("b")]
    told: list[str] = []
    heard = citations.Heard(told.append, passages)
    for each in pieces:
        heard(each)
    heard.end()
    assert "".join(told) == citations.Numbers(passages).rewritten("".join(pieces))


def test_holds_the_same_table_of_states_in_the_database(owner: User) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'ai_question_status_guard'")
        source = " ".join(cursor.fetchone()[0].split())
    wanted = QUESTION.trigger_sql().split("$$")[1]
    assert source == " ".join(wanted.split())


def test_publishes_help_pages_once_and_what_changed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = help_pages.publish(actor=SYSTEM, now=clock.now())
    assert first.published > 30
    again = help_pages.publish(actor=SYSTEM, now=clock.now())
    assert (again.published, again.updated, again.withdrawn, again.unchanged) == (0, 0, 0, first.published)
    row = HelpPage.objects.get(page="how-to/refund", anchor="")
    HelpPage.objects.filter(pk=row.pk).update(body="old")
    gone = HelpPage.objects.create(page="how-to/gone", anchor="", title="Gone", page_title="Gone", body="Gone.")
    third = help_pages.publish(actor=SYSTEM, now=clock.now())
    assert (third.updated, third.withdrawn) == (1, 1)
    assert HelpPage.objects.get(pk=row.pk).version == row.version + 1
    assert not HelpPage.objects.filter(pk=gone.pk).exists()
