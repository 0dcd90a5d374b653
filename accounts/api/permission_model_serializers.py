"""How permission models travel."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.api.permission_model_input import NamedModelInput
from accounts.permissions.models import PermissionModel
from core.api.fields import PublicIdField
from core.api.serializers import InputSerializer


class ModelQuery(serializers.Serializer[Any]):
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=100)
    cursor = serializers.CharField(required=False, help_text="Where the page begins: taken from `next` or `previous`.")
    include_total = serializers.BooleanField(required=False, default=False, help_text="Count all too; costs a query.")


class ModelRow(serializers.Serializer[Any]):
    id = PublicIdField(PermissionModel.id_prefix)
    created_at = serializers.DateTimeField()


class ModelPage(serializers.Serializer[Any]):
    data = ModelRow(many=True)  # type: ignore[assignment]
    next = serializers.CharField(allow_null=True, help_text="The address of the next page; null on the last one.")
    previous = serializers.CharField(allow_null=True, help_text="The address of the page before; null on the first.")
    total = serializers.IntegerField(required=False)


class ShowQuery(serializers.Serializer[Any]):
    show = serializers.ChoiceField(["both", "json", "dsl"], default="both", help_text="Which of the two to answer.")


class ModelSerializer(ModelRow):
    document = serializers.DictField(allow_null=True, help_text="OpenFGA's JSON.")
    text = serializers.CharField(allow_null=True, help_text="OpenFGA's language; null for what only JSON can say.")


class FaultSerializer(serializers.Serializer[Any]):
    type = serializers.CharField(help_text="OpenFGA's name of the fault: `missing-definition`, …")
    message = serializers.CharField()
    symbol = serializers.CharField(help_text="The word that is wrong; of JSON the pointer to it.")
    file = serializers.CharField(help_text="Of a modular model.")
    line = serializers.IntegerField(help_text="Counted from 1; 0 for JSON, which has no lines.")
    column = serializers.IntegerField()
    end_column = serializers.IntegerField()


class ValidateReply(serializers.Serializer[Any]):
    is_valid = serializers.BooleanField()  # type: ignore[assignment]  # a member, not the serializer's own
    faults = FaultSerializer(many=True)


class DiffInput(InputSerializer):
    before = NamedModelInput(required=False, help_text="Default: the newest.")
    after = NamedModelInput()


class DifferenceSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(["type", "relation", "condition"])
    name = serializers.CharField(help_text="`document`, `document#viewer`, `in_hours`.")
    change = serializers.ChoiceField(["added", "removed", "changed"])
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class AffectedSerializer(serializers.Serializer[Any]):
    object_type = serializers.CharField()
    relation = serializers.CharField()
    subject = serializers.CharField(help_text="`user`, `user:*`, `group#member`.")
    condition = serializers.CharField(help_text="Empty for none.")
    count = serializers.IntegerField()


class AffectedTuples(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    kinds = AffectedSerializer(many=True)


class DiffReply(serializers.Serializer[Any]):
    differences = DifferenceSerializer(many=True)
    tuples_lost = AffectedTuples(help_text="Stored tuples that are read now and would be ignored.")
    tuples_regained = AffectedTuples(help_text="Stored tuples that are ignored now and would be read.")
