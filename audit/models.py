"""The event log as it stands in PostgreSQL, and what seals and follows it."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from core import ids
from core.models import AppendOnly


class Event(AppendOnly):
    """A fact. Written once, in the transaction of the change that it tells of; names everything by type and id.

    The table is partitioned by ranges of `id`. A column `xid` (not mapped) keeps the transaction that wrote the row.
    `context` holds request_id, trace_id, source, idempotency_key, reason, and ip and user_agent, encrypted.
    """

    id_prefix: ClassVar[str] = "evt"
    organization_path: ClassVar[str | None] = "organization_id"

    id = models.UUIDField(primary_key=True, default=ids.new_id, editable=False)
    type = models.CharField(max_length=100)
    schema_version = models.PositiveSmallIntegerField(default=1)
    occurred_at = models.DateTimeField()
    actor_type = models.CharField(max_length=20)
    actor_id = models.UUIDField(null=True)
    on_behalf_of_type = models.CharField(max_length=20, default="", blank=True)
    on_behalf_of_id = models.UUIDField(null=True)
    organization_id = models.UUIDField(null=True)
    subject_type = models.CharField(max_length=50)
    subject_id = models.UUIDField()
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    data = models.JSONField(default=dict)
    context = models.JSONField(default=dict)
    command_id = models.UUIDField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["subject_id", "-id"], name="audit_event_subject"),
            models.Index(
                fields=["organization_id", "-id"],
                name="audit_event_organization",
                condition=models.Q(organization_id__isnull=False),
            ),
            models.Index(
                fields=["actor_id", "-id"], name="audit_event_actor", condition=models.Q(actor_id__isnull=False)
            ),
            models.Index(fields=["type", "-id"], name="audit_event_type"),
            models.Index(fields=["command_id"], name="audit_event_command"),
            models.Index(models.F("context__request_id"), name="audit_event_request"),
            BrinIndex(fields=["occurred_at"], name="audit_event_occurred"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def public_id(self) -> str:
        """The id as people see it: `evt_01h455vb4pex5vsknk084sn02q`."""
        return ids.encode(self.id_prefix, self.id)


class Unsealed(models.Model):
    """An event that has no position yet. A trigger on the event table writes it; the sealer takes it away."""

    event_id = models.UUIDField(primary_key=True)

    class Meta:
        db_table = "audit_unsealed"
        verbose_name_plural = "unsealed"

    def __str__(self) -> str:
        return str(self.event_id)


class Position(AppendOnly):
    """The place of an event in the one gapless order, from 1, and its leaf hash (RFC 9162: leaf position - 1)."""

    position = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    leaf_hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return str(self.position)


class Node(AppendOnly):
    """The hash over leaves `index * 2**level` to `(index + 1) * 2**level - 1`: a full subtree, which never changes.
    Proofs are put together from these; leaves (level 0) stand in `Position`."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    def __str__(self) -> str:
        return f"{self.level}/{self.index}"


class Tree(models.Model):
    """How far the log is sealed: one row. `peaks` are the roots of the full subtrees, the largest first; with them a
    leaf is added in O(log n) steps."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    size = models.BigIntegerField(default=0)
    peaks = ArrayField(models.BinaryField(max_length=32), default=list)
    sealed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_tree_one_row")]

    def __str__(self) -> str:
        return f"{self.size} leaves"


class FollowerState(models.TextChoices):
    RUNNING = "running", "running"
    PARKED = "parked", "parked"


class Follower(models.Model):
    """How far one follower has read. A parked one met an event that it cannot take, and waits for a person."""

    name = models.CharField(max_length=100, primary_key=True)
    position = models.BigIntegerField(default=0)
    state = models.CharField(max_length=10, choices=FollowerState.choices, default=FollowerState.RUNNING)
    failures = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(default="", blank=True)
    moved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
