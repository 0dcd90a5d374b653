"""Asking: a step outside in three commits. The intent with what it may cost; the provider; what it came to.

    asked --> provider --> answered | failed(code)
                      `--> unknown --> asked again under the same key, or given up by the sweep

Nothing is open while the provider is asked. Killed anywhere, the row tells where it stands and what it may have cost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from ai import events, providers, telemetry
from ai.costs import Usage
from ai.errors import AnswerBlocked, AnswerBroken, AnswerIncomplete, AnswerLost, StreamNotOpened, spent_on
from ai.models import LONGEST_QUESTION, Question
from ai.permissions import QUESTION_ASK
from ai.providers.base import AnswerProvider, Completion, Hear, Source
from ai.selectors import questions as selectors
from ai.services import budgets, citations
from ai.states import QUESTION, Feedback, Status
from core import clock, context
from core.access import require
from core.actor import Actor, ActorType
from core.commands import command
from core.errors import (
    AppError,
    Forbidden,
    IdempotencyReused,
    InvalidInput,
    InvalidTransition,
    NotFound,
    ProviderAnswerInvalid,
    RequestInProgress,
)
from core.events import EventType, Subject, record
from core.outside import ProviderTimedOut

STREAM_OPENS_WITHIN = timedelta(seconds=90)
_ASKED_AGAIN_WITHIN = timedelta(minutes=5)
_SLACK = 10  # seconds that a lease outlasts the longest call
_RESULT = (
    "status", "answer", "is_grounded", "citations", "failure_code", "failure_message", "finished_at", "latency_ms",
    "tokens_in", "tokens_out", "cost_micro", "reserved_micro", "reserved_on", "is_cost_bound", "lease_until",
)  # fmt: skip


@command("ai.question.ask", is_durable=True)
def ask(*, actor: Actor, text: str, operation_key: str, now: datetime, hear: Hear | None = None) -> Question:
    """Answer a question from what the asker may see. Called again with the same `operation_key` it returns the same
    answer, or asks again when none is known. `hear` is told the words as they come, before they are checked.

    Raises InvalidInput, Forbidden, BudgetReached, RequestInProgress, IdempotencyReused, and what the provider raises
    (`ai.providers.base`); the question is then kept as failed or unknown. Events: `ai.question.answered` or `.failed`.
    """
    _require(actor)
    known = Question.objects.filter(operation_key=operation_key).first()
    question = _new(actor, text, operation_key) if known is None else _same(known, actor, text)
    return question if question.status == Status.ANSWERED else _carry_out(actor, question, now=now, hear=hear)


@command("ai.question.promise")
def promise(*, actor: Actor, text: str, operation_key: str, now: datetime) -> Question:
    """Keep a question whose answer will be streamed to whoever opens the stream (`answer`), within 90 seconds. Called
    again with the same key it returns the same question. Raises InvalidInput, Forbidden, IdempotencyReused. No event:
    nothing was asked yet."""
    _require(actor)
    known = Question.objects.filter(operation_key=operation_key).first()
    if known is not None:
        return _same(known, actor, text)
    question = _new(actor, text, operation_key)
    question.status, question.lease_until = Status.WAITING, clock.now() + STREAM_OPENS_WITHIN
    with _one_for_each_key():
        question.save(force_insert=True)
    return question


@command("ai.question.answer", is_durable=True)
def answer(*, actor: Actor, question: Question, now: datetime, hear: Hear | None = None) -> Question:
    """Answer a question that waits for its stream, or whose answer was lost. Raises and records as `ask`;
    InvalidTransition for one that is answered or failed, NotFound for another's."""
    if not question.is_asked_by(actor):
        raise NotFound("There is no such question, or you may not see it.")
    if not question.is_open:
        raise InvalidTransition(
            current_status=question.status, command="answer", allowed_commands=question.allowed_commands
        )
    return _carry_out(actor, question, now=now, hear=hear)


@command("ai.question.give_up")
def give_up(*, actor: Actor, question: Question, now: datetime) -> Question:
    """End an open question that nobody works on: a stream that was not opened, or an answer that was lost, of which
    the most that it can have cost is counted. Otherwise nothing happens. Event: `ai.question.failed`."""
    locked = question.refreshed_for_update()
    if not locked.is_open or (locked.lease_until is not None and locked.lease_until > clock.now()):
        return locked
    is_unopened = locked.status == Status.WAITING
    if locked.status == Status.ASKING:  # whoever asked was killed
        locked.status = QUESTION.target(locked, "lose")
        locked.save(update_fields=["status"])
    locked.status = QUESTION.target(locked, "give_up")
    locked.failure_code = StreamNotOpened.code if is_unopened else AnswerLost.code
    _count_at_most(locked)
    locked.finished_at, locked.lease_until = now, None
    locked.save(update_fields=_RESULT)
    _record(events.QUESTION_FAILED, actor=actor, question=locked, now=now)
    return locked


@command("ai.question.rate")
def rate(*, actor: Actor, question: Question, feedback: Feedback, now: datetime, note: str = "") -> Question:
    """Say whether an answer helped; the last word counts. Raises NotFound for another's question, InvalidTransition
    for one without an answer. Event: `ai.question.rated`."""
    if not question.is_asked_by(actor):
        raise NotFound("There is no such question, or you may not see it.")
    locked = question.refreshed_for_update()
    QUESTION.target(locked, "rate")
    before = {"feedback": locked.feedback}
    locked.feedback, locked.feedback_note = feedback.value, note
    locked.save(update_fields=["feedback", "feedback_note"])
    record(
        events.QUESTION_RATED,
        actor=actor,
        subject=locked,
        before=before,
        after={"feedback": locked.feedback},
        data={"note": note} if note else None,
        organization_id=locked.organization_id,
        person=_person(locked),
        occurred_at=now,
    )
    return locked


def _require(actor: Actor) -> None:
    """Everybody who is signed in may ask; what they are told is bounded by what they may see. A key needs the scope."""
    if actor.id is None:
        raise Forbidden("Sign in to ask.")
    if actor.type is not ActorType.USER:
        require(actor, QUESTION_ASK.name)


def _new(actor: Actor, text: str, operation_key: str) -> Question:
    wanted = " ".join(text.replace("\x00", "").split())
    if not wanted:
        raise InvalidInput.at("/question", "Ask something.", "blank")
    if len(wanted) > LONGEST_QUESTION:
        raise InvalidInput.at("/question", f"At most {LONGEST_QUESTION} characters.", "max_length")
    provider = providers.get()
    assert actor.id is not None
    organization_id = actor.organization_id or context.current().organization_id
    payer = f"organization:{organization_id}" if organization_id else f"user:{actor.id}"
    return Question(
        asker_type=str(actor.type),
        asker_id=actor.id,
        organization_id=None if actor.is_staff else organization_id,
        payer="staff" if actor.is_staff else payer,
        text=wanted,
        provider=provider.name,
        model=provider.model,
        operation_key=operation_key,
        currency=settings.AI_CURRENCY,
    )


def _same(known: Question, actor: Actor, text: str) -> Question:
    if not known.is_asked_by(actor) or known.text != " ".join(text.split()):
        raise IdempotencyReused("This key was used for another question.")
    return known


def _carry_out(actor: Actor, question: Question, *, now: datetime, hear: Hear | None) -> Question:
    """Ask the provider, with no transaction open, and write what it says."""
    provider = providers.get()
    passages = selectors.passages(actor, question.text)
    best = passages[0].score or 1.0 if passages else 1.0
    sources = [Source(one.title, one.text, one.score / best, one.start == 0) for one in passages]
    bound = provider.price.bound(provider.bound(question.text, sources))
    with _one_for_each_key():
        question = _intend(question, provider, bound=bound, now=now)
    if question.status == Status.ANSWERED:
        return question
    started = time.monotonic()
    completion: Completion | None = None
    try:
        heard = hear and citations.Heard(hear, passages)
        completion = provider.answer(question.text, sources, hear=heard)
        if heard is not None:
            heard.end()
        text, cited, is_grounded = citations.checked(completion, passages)
    except AppError as error:
        usage = completion.usage if completion is not None else spent_on(error)
        _fail(actor, question, provider, error, usage=usage, latency_ms=_since(started), now=now)
        error.extra["question_id"] = question.public_id
        raise
    with transaction.atomic():
        locked = _still_ours(question)
        locked.answer, locked.citations, locked.is_grounded = text, cited, is_grounded
        locked.status, locked.model = QUESTION.target(locked, "answer"), completion.model
        _finish(locked, provider, completion.usage, latency_ms=_since(started), now=now)
        _record(events.QUESTION_ANSWERED, actor=actor, question=locked, now=now)
    return locked


def _intend(question: Question, provider: AnswerProvider, *, bound: int, now: datetime) -> Question:
    """Commit what is to be asked and what it may cost, leased to us; or take up what was begun before."""
    with transaction.atomic():
        if not question._state.adding:
            question = question.refreshed_for_update()
            _take_up(question)
        question.provider, question.model, question.currency = provider.name, provider.model, settings.AI_CURRENCY
        if question.status == Status.ANSWERED:
            return question
        budgets.reserve(question, micro=bound, now=now)
        question.attempt_count += 1
        question.lease_until = clock.now() + timedelta(seconds=provider.seconds + _SLACK)
        question.save()
        return question


def _take_up(question: Question) -> None:
    """Begin another attempt at a question (locked): what the one before may have cost is counted."""
    if question.status == Status.ANSWERED:
        return
    if question.status == Status.ASKING:
        if question.lease_until is not None and question.lease_until > clock.now():
            seconds = int((question.lease_until - clock.now()).total_seconds()) + 1
            raise RequestInProgress(
                "The question is being answered.", headers={"Retry-After": str(seconds)}, question_id=question.public_id
            )
        question.status = QUESTION.target(question, "lose")
        question.save(update_fields=["status"])
    _count_at_most(question)
    question.status, question.finished_at = QUESTION.target(question, "ask"), None
    question.failure_code = question.failure_message = ""


def _fail(
    actor: Actor,
    question: Question,
    provider: AnswerProvider,
    error: AppError,
    *,
    usage: Usage | None,
    latency_ms: int,
    now: datetime,
) -> None:
    """Commit that no answer came, and why. Where it may yet have cost something the question is unknown, its budget
    stays promised, and the same key may ask again for five minutes."""
    is_lost = usage is None and isinstance(error, ProviderTimedOut | AnswerBroken)
    with transaction.atomic():
        locked = _still_ours(question)
        locked.failure_code = error.code
        locked.failure_message = str(error.extra.get("provider_message", ""))[:300]
        if is_lost:
            locked.status, locked.latency_ms = QUESTION.target(locked, "lose"), latency_ms
            locked.lease_until = clock.now() + _ASKED_AGAIN_WITHIN
            locked.save(update_fields=_RESULT)
            return
        locked.status = QUESTION.target(locked, "refuse")
        is_paid = isinstance(error, ProviderAnswerInvalid | AnswerBlocked | AnswerIncomplete | AnswerBroken)
        _finish(locked, provider, usage if is_paid else Usage(), latency_ms=latency_ms, now=now)
        _record(events.QUESTION_FAILED, actor=actor, question=locked, now=now)


def _still_ours(question: Question) -> Question:
    """Return the row, locked. Raises AnswerLost when the sweep gave it up meanwhile, or another attempt began."""
    locked = question.refreshed_for_update()
    if locked.status != Status.ASKING or locked.attempt_count != question.attempt_count:
        raise AnswerLost("The answer came after it was given up.")
    return locked


def _finish(
    question: Question, provider: AnswerProvider, usage: Usage | None, *, latency_ms: int, now: datetime
) -> None:
    """Save the end of an attempt with what it used; the most that it can be where the provider did not count."""
    if usage is None:
        _count_at_most(question)
    else:
        question.tokens_in += usage.tokens_in
        question.tokens_out += usage.tokens_out
        budgets.settle(question, micro=provider.price.cost(usage))
        telemetry.used(provider.name, usage)
    question.latency_ms, question.finished_at, question.lease_until = latency_ms, now, None
    question.save(update_fields={*_RESULT, "model"})


def _count_at_most(question: Question) -> None:
    """Count what was promised to the present attempt as spent."""
    if question.reserved_micro:
        question.is_cost_bound = True
        budgets.settle(question, micro=question.reserved_micro)


def _record(event: EventType, *, actor: Actor, question: Question, now: datetime) -> None:
    data = {
        "question": question.text,
        "provider": question.provider,
        "model": question.model,
        "tokens_in": question.tokens_in,
        "tokens_out": question.tokens_out,
        "cost_micro": question.cost_micro,
        "is_cost_bound": question.is_cost_bound,
        "currency": question.currency,
        "latency_ms": question.latency_ms,
        "attempt_count": question.attempt_count,
        "is_grounded": question.is_grounded,
        "sources": sorted({citation["id"] for citation in question.citations}),
        "failure_code": question.failure_code,
    }
    record(
        event,
        actor=actor,
        subject=question,
        after={"status": question.status},
        data=data,
        organization_id=question.organization_id,
        person=_person(question),
        occurred_at=now,
    )
    telemetry.QUESTIONS.labels(question.provider, question.failure_code or str(question.status)).inc()


def _person(question: Question) -> Subject:
    """Whose words the question is: staff are people too; a program's are its own."""
    programs = {ActorType.API_KEY: "apikey", ActorType.SERVICE_ACCOUNT: "serviceaccount"}
    return Subject(programs.get(ActorType(question.asker_type), "user"), question.asker_id)


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


@contextmanager
def _one_for_each_key() -> Iterator[None]:
    """Of two equal requests at the same moment the database lets one in."""
    try:
        yield
    except IntegrityError as fault:
        if "operation_key" not in str(fault):
            raise
        raise RequestInProgress("The same question is being answered.", headers={"Retry-After": "1"}) from fault
