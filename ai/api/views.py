"""Asking over REST, one's own questions, and whether an answer helped."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample

from ai.api import serializers as s
from ai.errors import (
    AnswerBlocked,
    AnswerIncomplete,
    AnswerInvalid,
    AnswerUnsupported,
    BudgetReached,
    ProviderQuotaReached,
    RequestRejected,
)
from ai.models import Question
from ai.permissions import QUESTION_ASK
from ai.selectors import questions as selectors
from ai.services import questions
from ai.states import Feedback, Status
from core import limits
from core.access import require
from core.api.filters import EntityFilterSet
from core.api.operations import operation
from core.api.replies import Reply
from core.api.requests import Request
from core.api.views import APIView
from core.api.viewsets import EntityViewSet, command_action
from core.errors import InvalidTransition
from core.streams import tickets

STREAM = "ask"
_ERRORS = (
    BudgetReached,
    ProviderQuotaReached,
    AnswerBlocked,
    AnswerIncomplete,
    AnswerInvalid,
    AnswerUnsupported,
    RequestRejected,
)


class AskView(APIView):
    tag = "assistant"

    @operation(
        request=s.AskInput,
        response=s.QuestionSerializer,
        others={201: s.PromisedSerializer},
        idempotency="operation",
        errors=_ERRORS,
        summary="Ask the assistant",
        operation_id="ai_ask",
        examples=[OpenApiExample("A question", {"question": "How do I refund a payment?"}, request_only=True)],
    )
    def post(self, request: Request) -> Reply:
        """The answer is made from what you may see, and quotes it. With `stream` the answer is 201 with a ticket, and
        the answer comes on the stream `ask`; closing it does not take the question back."""
        data = self.input()
        asked: dict[str, Any] = {
            "actor": request.actor,
            "text": data["question"],
            "operation_key": request.operation_key,
            "now": request.now,
        }
        if not data["stream"]:
            question = questions.ask(**asked)
            return Reply(s.QuestionSerializer.represent(question), version=question.version)
        return _promised(request, questions.promise(**asked))

    def limit(self, request: Request) -> None:
        """Beside the limit of all requests, questions have one of their own."""
        super().limit(request)
        if not request.actor.is_anonymous:
            self.headers.update(limits.check("ask", request.actor.principal).headers)


class QuestionFilters(EntityFilterSet):
    status = django_filters.MultipleChoiceFilter(choices=[(status.value, status.value) for status in Status])

    class Meta:
        model = Question
        fields: ClassVar[list[str]] = []


class QuestionViewSet(EntityViewSet):
    tag = "assistant"
    queryset = Question.objects.all()
    serializer_class = s.QuestionSerializer
    filterset_class = QuestionFilters

    def get_queryset(self) -> QuerySet[Question]:
        """One's own questions alone, whoever asks."""
        if self.request.actor.scopes is not None:
            require(self.request.actor, QUESTION_ASK.name)
        return selectors.own(self.request.actor)

    @command_action(
        request=s.FeedbackInput,
        response=s.QuestionSerializer,
        errors=(InvalidTransition,),
        summary="Say whether an answer helped",
    )
    def feedback(self, request: Request, **kwargs: Any) -> Question:
        data = self.input()
        return questions.rate(
            actor=request.actor,
            question=self.entity(),
            feedback=Feedback(data["feedback"]),
            note=data["note"],
            now=request.now,
        )


def _promised(request: Request, question: Question) -> Reply:
    ticket = tickets.issue(
        stream=STREAM, actor=request.actor, parameters={"question_id": question.public_id}, now=request.now
    )
    told = {
        "question_id": question.public_id,
        "ticket": ticket.token,
        "url": ticket.url,
        "expires_at": ticket.expires_at,
    }
    reply = Reply(told, status=201, headers={"Location": f"/api/v1/ai/questions/{question.public_id}"})
    reply._holds_secret = True  # type: ignore[attr-defined]  # neither kept for a replay nor compressed
    return reply
