"""Work still to be done, and when to do it again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from core.actor import Actor
from core.models.base import Entity


class JobState(models.TextChoices):
    """`queued` also means: waiting for the next attempt (`run_at` lies ahead). `dead` waits for a person."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    DEAD = "dead", "dead"
    DISCARDED = "discarded", "discarded"


class Job(Entity):
    """One piece of work. `token` rises with each claim; who holds an older one may not write any more.

    `published_at` is when a message was last handed to the broker (None: the relay shall hand one over), `publications`
    how often one was.
    """

    id_prefix: ClassVar[str] = "job"

    kind = models.CharField(max_length=100)
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    priority = models.PositiveSmallIntegerField(default=5, help_text="0 first, 9 last.")
    unique_key = models.CharField(max_length=200, null=True, blank=True, unique=True)
    run_at = models.DateTimeField(default=timezone.now)
    deadline = models.DateTimeField(null=True, blank=True, help_text="No attempt begins after this moment.")

    attempts = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=3)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)
    publications = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    progress_done = models.PositiveBigIntegerField(default=0)
    progress_total = models.PositiveBigIntegerField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True, help_text="The problem that the last attempt met.")

    organization_id = models.UUIDField(null=True, blank=True)
    requested_by_type = models.CharField(max_length=20)
    requested_by_id = models.UUIDField(null=True, blank=True)
    actor = models.JSONField(default=dict)
    context = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["priority", "run_at"], name="core_job_due", condition=Q(state="queued")),
            models.Index(fields=["lease_until"], name="core_job_leased", condition=Q(state="running")),
            models.Index(fields=["state", "-id"], name="core_job_by_state"),
            models.Index(fields=["kind", "-id"], name="core_job_by_kind"),
            models.Index(fields=["requested_by_id", "-id"], name="core_job_by_requester"),
            models.Index(
                fields=["finished_at"], name="core_job_finished", condition=Q(state__in=["succeeded", "discarded"])
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="core_job_state"),
            models.CheckConstraint(condition=Q(priority__lte=9), name="core_job_priority"),
        ]

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen unless a person acts."""
        return self.state not in (JobState.QUEUED, JobState.RUNNING)

    def is_requested_by(self, actor: Actor) -> bool:
        """Whether this very actor asked for it: who may see it, beside staff."""
        return actor.id is not None and (self.requested_by_type, self.requested_by_id) == (str(actor.type), actor.id)


class Schedule(Entity):
    """A job made again and again. Declared by the apps; `cron` (UTC) and `is_enabled` may be changed by staff."""

    id_prefix: ClassVar[str] = "sch"
    organization_path: ClassVar[str | None] = None

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=100)
    payload = models.JSONField(default=dict, blank=True)
    cron = models.CharField(max_length=100, help_text="Five fields, in UTC.")
    is_enabled = models.BooleanField(default=True)
    next_run_at = models.DateTimeField()
    last_run_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["next_run_at"], name="core_schedule_due", condition=Q(is_enabled=True))]

    def __str__(self) -> str:
        return self.name
