"""Questions as the API shows and takes them."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ai.models import LONGEST_QUESTION, Question
from ai.states import QUESTION, Feedback
from core.api.fields import PublicIdField
from core.api.serializers import EntitySerializer, InputSerializer


class CitationSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """Words of a document that support the answer: `quote` is the document's body from `start` to `end`, at
    `version`. The text of the answer names it as `[number]`."""

    number = serializers.IntegerField()
    type = serializers.CharField(help_text="The kind of document: help_page, customer, invoice, …")
    id = serializers.CharField()
    title = serializers.CharField()
    url = serializers.CharField()
    version = serializers.IntegerField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    quote = serializers.CharField()


class UsageSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """What it took. Costs are millionths of the currency; `is_cost_bound` says that an answer was lost and its cost is
    the most that it can have been."""

    tokens_in = serializers.IntegerField()
    tokens_out = serializers.IntegerField()
    cost_micro = serializers.IntegerField()
    is_cost_bound = serializers.BooleanField()
    currency = serializers.CharField()


class QuestionSerializer(EntitySerializer):
    id = PublicIdField(Question, read_only=True)
    question = serializers.CharField(source="text", read_only=True)
    citations = serializers.SerializerMethodField()
    usage = serializers.SerializerMethodField()
    allowed_commands = serializers.ListField(child=serializers.ChoiceField(sorted(QUESTION.public)), read_only=True)

    class Meta:
        model = Question
        fields: ClassVar = [
            "id",
            "question",
            "status",
            "answer",
            "is_grounded",
            "citations",
            "usage",
            "provider",
            "model",
            "latency_ms",
            "failure_code",
            "failure_message",
            "feedback",
            "feedback_note",
            "allowed_commands",
            "created_at",
            "finished_at",
        ]

    @extend_schema_field(CitationSerializer(many=True))
    def get_citations(self, question: Question) -> list[dict[str, Any]]:
        return question.citations

    @extend_schema_field(UsageSerializer)
    def get_usage(self, question: Question) -> dict[str, Any]:
        names = ("tokens_in", "tokens_out", "cost_micro", "is_cost_bound", "currency")
        return {name: getattr(question, name) for name in names}


class AskInput(InputSerializer):
    question = serializers.CharField(max_length=LONGEST_QUESTION)
    stream = serializers.BooleanField(
        default=False, help_text="Answer on a stream of server-sent events: delta, citation, done, error."
    )


class PromisedSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """A question that waits for its stream: connect to `url` within a minute."""

    question_id = PublicIdField(Question)
    ticket = serializers.CharField()
    url = serializers.CharField()
    expires_at = serializers.DateTimeField()


class FeedbackInput(InputSerializer):
    feedback = serializers.ChoiceField([one.value for one in Feedback])
    note = serializers.CharField(max_length=500, allow_blank=True, default="")
