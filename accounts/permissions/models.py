"""What the permission engine keeps: stores, models, what a model was compiled to, and tuples.

A store holds tuples apart from those of others: the product's own, and one for each test. `RelationTuple` says that a
subject (`user:ann`, `user:*`, `group:eng#member`) has a relation to an object, perhaps under a condition.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Cast
from django.utils import timezone
from psycopg.types.json import Json

from core import ids
from core.models import AppendOnly

_PRESENT_TRANSACTION = Cast(
    Cast(models.Func(function="pg_current_xact_id"), models.TextField()), models.BigIntegerField()
)


class PermissionStore(models.Model):
    """Tuples and models that belong together."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name


class JSONInOrder(models.JSONField):
    """JSON as it was written: PostgreSQL's jsonb forgets the order of members, and the relations of a type have one."""

    def db_type(self, connection: Any) -> str:
        return "json"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return None if value is None else Json(value)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return json.loads(value) if isinstance(value, str | bytes) else value


class PermissionModel(models.Model):
    """One version of a model; never changed once written. `document` is OpenFGA's JSON, `digest` says by what its nodes
    and hops were compiled."""

    id_prefix: ClassVar[str] = "mdl"

    store = models.ForeignKey(PermissionStore, on_delete=models.CASCADE, related_name="models")
    document = JSONInOrder()
    digest = models.CharField(max_length=64, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"model {self.pk} of {self.store}" if self.pk else f"new model of {self.store}"

    @property
    def public_id(self) -> str:
        """The number as the API shows it, in the form of all ids."""
        return ids.encode(self.id_prefix, UUID(int=self.pk))


class PermissionNode(models.Model):
    """A relation of a type, or an operand of `and` and `but not`, as the engine walks it (see `compiler`)."""

    pk = models.CompositePrimaryKey("model_id", "number")
    model = models.ForeignKey(PermissionModel, on_delete=models.CASCADE, db_index=False)
    number = models.IntegerField()
    object_type = models.TextField()
    operator = models.CharField(max_length=1, help_text="'' for a set, '&' for and, '-' for but not")
    operands = ArrayField(models.IntegerField(), default=list)
    nested = ArrayField(
        models.BooleanField(), default=list, help_text="for each operand: whether it leads to operators of its own"
    )
    is_layered = models.BooleanField(default=True, help_text="no operator that it leads to leads back to itself")
    region = ArrayField(
        models.IntegerField(), default=list, help_text="the nodes it leads to over tuples alone, itself among them"
    )

    def __str__(self) -> str:
        return f"node {self.number} of model {self.model_id}"


class PermissionHop(models.Model):
    """A step that the engine may take from a node: to the subjects of a tuple, or to another node."""

    model = models.ForeignKey(PermissionModel, on_delete=models.CASCADE, db_index=False)
    node = models.IntegerField()
    kind = models.SmallIntegerField()
    object_type = models.TextField()
    relation = models.TextField(blank=True)
    subject_type = models.TextField(blank=True)
    subject_relation = models.TextField(blank=True)
    condition = models.TextField(blank=True)
    target = models.IntegerField(null=True)
    subjects = ArrayField(
        models.TextField(), default=list, help_text="kinds of subjects it can lead to: 'user', 'group#member'"
    )

    class Meta:
        indexes = [
            models.Index(fields=["model", "node", "kind"], name="accounts_hop_forward"),
            models.Index(fields=["model", "target", "kind"], name="accounts_hop_backward"),
        ]

    def __str__(self) -> str:
        return f"hop {self.node} -> {self.target} of model {self.model_id}"


class RelationTuple(models.Model):
    """`subject_type:subject_id[#subject_relation]` has `relation` to `object_type:object_id`; id `*` is everybody of
    a type. `condition` is the condition's name, `context` what was stored for it."""

    store = models.ForeignKey(PermissionStore, on_delete=models.CASCADE, db_index=False)
    object_type = models.TextField()
    object_id = models.TextField()
    relation = models.TextField()
    subject_type = models.TextField()
    subject_id = models.TextField()
    subject_relation = models.TextField(blank=True, default="")
    condition = models.TextField(blank=True, default="")
    context = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "store",
                    "object_type",
                    "object_id",
                    "relation",
                    "subject_type",
                    "subject_relation",
                    "subject_id",
                ],
                name="accounts_tuple_is_unique",
            )
        ]
        indexes = [
            models.Index(
                fields=[
                    "store",
                    "subject_type",
                    "subject_id",
                    "subject_relation",
                    "object_type",
                    "relation",
                    "object_id",
                ],
                name="accounts_tuple_by_subject",
            )
        ]

    def __str__(self) -> str:
        subject = f"{self.subject_type}:{self.subject_id}" + (
            f"#{self.subject_relation}" if self.subject_relation else ""
        )
        return f"{self.object_type}:{self.object_id}#{self.relation}@{subject}"


class RelationChange(AppendOnly):
    """One tuple written (also: under another condition than before) or deleted, in the transaction that did it. (`id`
    orders the changes of one tuple. Those of several writers are in order by (`transaction`, `id`): see `changes`.)"""

    class Operation(models.TextChoices):
        WRITE = "write"
        DELETE = "delete"

    id = models.BigAutoField(primary_key=True)
    transaction = models.BigIntegerField(
        db_default=_PRESENT_TRANSACTION, editable=False, help_text="the number of the transaction (xid8) that did it"
    )
    store_id = models.BigIntegerField()
    operation = models.CharField(max_length=6, choices=Operation.choices)
    object_type = models.TextField()
    object_id = models.TextField()
    relation = models.TextField()
    subject_type = models.TextField()
    subject_id = models.TextField()
    subject_relation = models.TextField(blank=True, default="")
    condition = models.TextField(blank=True, default="")
    context = models.JSONField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["store_id", "transaction", "id"], name="accounts_change_in_order"),
            models.Index(fields=["store_id", "object_type", "transaction", "id"], name="accounts_change_by_type"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.object_type}:{self.object_id}#{self.relation}"


class OpenFGACopy(models.Model):
    """How far a store was carried to an OpenFGA server (see `carrying`). `cursor` is the place in the change log;
    until `is_copied` the tuples that were there before it are carried too, in the order of their ids, as far as
    `copied_to`. `carried_at`: everything that had committed by then is there."""

    store = models.OneToOneField(PermissionStore, on_delete=models.CASCADE, primary_key=True, related_name="copy")
    server_store = models.CharField(max_length=26, help_text="the store's id on the server")
    model = models.ForeignKey(PermissionModel, on_delete=models.CASCADE, null=True, help_text="newest that is there")
    server_model = models.CharField(max_length=26, blank=True, default="", help_text="that model's id on the server")
    cursor = models.TextField(blank=True, default="")
    copied_to = models.BigIntegerField(default=0)
    is_copied = models.BooleanField(default=False)
    carried_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.store} on the OpenFGA server"
