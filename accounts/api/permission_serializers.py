"""How tuples, questions and answers of the permission engine travel."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.permission_input import (
    MAX_NAME,
    MAX_TEXT,
    ConditionInput,
    ContextField,
    tuple_list,
)
from accounts.permissions.models import PermissionModel
from accounts.permissions.pages import MOST
from accounts.permissions.writes import Outcome
from core.api.fields import PublicIdField
from core.api.serializers import InputSerializer

_MOST_CHECKS = 1000
_MOST_GIVEN = 100
_OUTCOMES = [str(outcome) for outcome in Outcome]


# --- tuples ----------------------------------------------------------------------------------------------------------


class TupleQuery(serializers.Serializer[Any]):
    """Which tuples; all that are named must fit."""

    object = serializers.CharField(required=False, max_length=MAX_TEXT, help_text="One object, `type:id`.")
    object_type = serializers.CharField(required=False, max_length=254)
    relation = serializers.CharField(required=False, max_length=MAX_NAME)
    user = serializers.CharField(
        required=False, max_length=MAX_TEXT, help_text="One subject, whole: `user:ann`, `user:*`, `group:eng#member`."
    )
    condition = serializers.CharField(required=False, max_length=MAX_NAME)
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, help_text="Where the page begins: taken from `next`.")


class TupleSerializer(serializers.Serializer[Any]):
    user = serializers.CharField()
    relation = serializers.CharField()
    object = serializers.CharField()
    condition = ConditionInput(allow_null=True)
    created_at = serializers.DateTimeField()


class TuplePage(serializers.Serializer[Any]):
    data = TupleSerializer(many=True)  # type: ignore[assignment]
    next = serializers.CharField(allow_null=True, help_text="The address of the next page; null on the last one.")


class WriteInput(InputSerializer):
    """At least one of the lists; all of it happens or nothing."""

    writes = tuple_list(required=False, help_text="No cap but that of the body, 10 MB.")
    deletes = tuple_list(required=False, help_text="Their conditions do not matter.")
    on_duplicate = serializers.ChoiceField(
        ["ignore", "error", "replace"],
        default="ignore",
        help_text="When a tuple is there already. One under another condition is refused unless replaced.",
    )
    on_missing = serializers.ChoiceField(
        ["ignore", "error"], default="ignore", help_text="When a tuple to be deleted is not there."
    )
    model_id = PublicIdField(PermissionModel.id_prefix, required=False, help_text="Default: the newest.")


class WrittenSerializer(serializers.Serializer[Any]):
    user = serializers.CharField()
    relation = serializers.CharField()
    object = serializers.CharField()
    result = serializers.ChoiceField(_OUTCOMES)


class WriteReply(serializers.Serializer[Any]):
    """What became of each tuple, in the order of the request."""

    writes = WrittenSerializer(many=True)
    deletes = WrittenSerializer(many=True)


class ChangeQuery(serializers.Serializer[Any]):
    object_type = serializers.CharField(required=False, max_length=254)
    start_time = serializers.DateTimeField(required=False, help_text="Changes logged then or later.")
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, help_text="Where to read on: taken from `next`.")


class ChangeSerializer(serializers.Serializer[Any]):
    operation = serializers.ChoiceField(["write", "delete"])
    user = serializers.CharField()
    relation = serializers.CharField()
    object = serializers.CharField()
    condition = ConditionInput(allow_null=True)
    created_at = serializers.DateTimeField()


class ChangePage(serializers.Serializer[Any]):
    data = ChangeSerializer(many=True)  # type: ignore[assignment]
    next = serializers.CharField(
        allow_null=True, help_text="The address to read on at, now or later; null when there has been no change at all."
    )
    complete = serializers.BooleanField(help_text="Nothing more has been committed by now.")


# --- questions -------------------------------------------------------------------------------------------------------


class QuestionInput(InputSerializer):
    """What every question takes."""

    contextual_tuples = tuple_list(
        required=False, max_length=_MOST_GIVEN, help_text="Hold for this question alone. For staff."
    )
    context = ContextField(required=False, help_text="Parameters of conditions.")  # type: ignore[assignment]
    consistency = serializers.ChoiceField(
        ["default", "higher"], default="default", help_text="`higher` asks the database and no cache."
    )
    model_id = PublicIdField(
        PermissionModel.id_prefix, required=False, help_text="By another version of the model. For staff."
    )


def _name(max_length: int = MAX_TEXT, **options: Any) -> serializers.CharField:
    """A text that the engine judges, also when it is empty: it knows what would be right."""
    return serializers.CharField(max_length=max_length, allow_blank=True, trim_whitespace=False, **options)


class UserInput(InputSerializer):
    user = _name(required=False, help_text="Who. Only staff may name others, and must name somebody.")


class CheckInput(UserInput, QuestionInput):
    relation = _name(MAX_NAME)
    object = _name(help_text="`type:id`.")


class CheckReply(serializers.Serializer[Any]):
    allowed = serializers.BooleanField()


class OneCheckInput(UserInput):
    relation = serializers.CharField(max_length=MAX_NAME)
    object = _name()


@extend_schema_field(OneCheckInput)
class OneCheckField(serializers.JSONField):
    """A check among many, as it came."""

    def to_internal_value(self, data: Any) -> Any:
        return data


class BatchCheckInput(QuestionInput):
    checks = serializers.ListField(child=OneCheckField(), min_length=1, max_length=_MOST_CHECKS)


class ItemFault(serializers.Serializer[Any]):
    """Why one item has no answer; the members of a problem."""

    code = serializers.CharField()
    detail = serializers.CharField()
    pointer = serializers.CharField()
    openfga_code = serializers.IntegerField()
    allowed_types = serializers.ListField(child=serializers.CharField(), required=False)


class OneAnswer(serializers.Serializer[Any]):
    allowed = serializers.BooleanField(required=False, help_text="Not there when the item has a fault.")
    error = ItemFault(required=False)


class BatchCheckReply(serializers.Serializer[Any]):
    """One answer for each check, in the order of the request."""

    results = OneAnswer(many=True)


# --- lists -----------------------------------------------------------------------------------------------------------


class PageInput(QuestionInput):
    limit = serializers.IntegerField(default=100, min_value=1, max_value=MOST)
    cursor = serializers.CharField(
        required=False, max_length=2000, help_text="`next` of the page before, with the same question."
    )


class ListObjectsInput(UserInput, PageInput):
    relation = _name(MAX_NAME)
    type = _name(254, help_text="Objects of which type.")


class ListObjectsReply(serializers.Serializer[Any]):
    objects = serializers.ListField(child=serializers.CharField())
    next = serializers.CharField(allow_null=True, help_text="Send it as `cursor`; null when there is no more.")
    complete = serializers.BooleanField(help_text="The list ends here.")


class ListUsersInput(PageInput):
    object = _name(help_text="`type:id`.")
    relation = _name(MAX_NAME)
    user_type = _name(
        MAX_TEXT, default="user", help_text="Which kind of subjects: `user`, or `group#member` for whole groups."
    )


class ListUsersReply(serializers.Serializer[Any]):
    users = serializers.ListField(child=serializers.CharField(), help_text="`user:*` stands for everybody.")
    next = serializers.CharField(allow_null=True, help_text="Send it as `cursor`; null when there is no more.")
    complete = serializers.BooleanField(help_text="The list ends here.")


# --- why -------------------------------------------------------------------------------------------------------------


class ExpandInput(QuestionInput):
    object = _name(help_text="`type:id`.")
    relation = _name(MAX_NAME)


class ExpandReply(serializers.Serializer[Any]):
    tree = serializers.DictField(help_text="As OpenFGA writes it: `root` with leaves, unions and so on.")


class ExplainReply(serializers.Serializer[Any]):
    """`witness` is the way that proves a yes, `tried` are the ways that led nowhere."""

    allowed = serializers.BooleanField(allow_null=True, help_text="Null when a check would refuse to answer.")
    user = serializers.CharField()
    relation = serializers.CharField()
    object = serializers.CharField()
    witness = serializers.DictField(allow_null=True)
    tried = serializers.ListField(child=serializers.DictField())
    refused = serializers.DictField(allow_null=True)
    complete = serializers.BooleanField(help_text="Nothing was cut off.")
    text = serializers.ListField(child=serializers.CharField(), help_text="The same for people, line by line.")
