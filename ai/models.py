"""Questions with their answers, what was spent on which day, and the sections of the help pages."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from ai.states import OPEN, QUESTION, Feedback, Status
from core.actor import Actor
from core.models import Entity

LONGEST_QUESTION = 2000
_OPEN = sorted(status.value for status in OPEN)


class Question(Entity):
    """What somebody asked, and what came of it. For who asked alone: an answer may quote whatever they may see.

    It is a persisted step outside: committed as an intent with what it can cost at most (`reserved_micro`), then the
    provider is asked, then its answer commits. `lease_until` says how long whoever asks has it for itself.
    """

    id_prefix = "ask"
    # Bounded by who asked, not by organisation (`ai.selectors.questions`).
    organization_path: ClassVar[str | None] = None

    asker_type = models.CharField(max_length=20)
    asker_id = models.UUIDField()
    organization_id = models.UUIDField(null=True, blank=True)
    payer = models.CharField(max_length=60, help_text="Whose budget of the day it is counted in.")
    text = models.TextField(max_length=LONGEST_QUESTION)
    status = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Status], default=Status.ASKING.value)
    provider = models.CharField(max_length=30)
    model = models.CharField(max_length=80)
    operation_key = models.CharField(max_length=200, unique=True, editable=False)
    attempt_count = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    answer = models.TextField(blank=True, default="")
    is_grounded = models.BooleanField(default=False, help_text="Whether anything was found that answers it.")
    citations = models.JSONField(default=list, blank=True)
    failure_code = models.CharField(max_length=60, blank=True, default="")
    failure_message = models.CharField(max_length=300, blank=True, default="", help_text="The provider's words.")
    finished_at = models.DateTimeField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(default=0)

    tokens_in = models.PositiveBigIntegerField(default=0)
    tokens_out = models.PositiveBigIntegerField(default=0)
    cost_micro = models.PositiveBigIntegerField(default=0, help_text="Millionths of the currency, all attempts.")
    reserved_micro = models.PositiveBigIntegerField(default=0, help_text="What the present attempt costs at most.")
    reserved_on = models.DateField(null=True, blank=True)
    is_cost_bound = models.BooleanField(default=False, help_text="An answer was lost: the cost is the most it can be.")
    currency = models.CharField(max_length=3, help_text="ISO 4217.")

    feedback = models.CharField(
        max_length=12, blank=True, default="", choices=[(one.value, one.value) for one in Feedback]
    )
    feedback_note = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        verbose_name = "question"
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["asker_id", "-id"], name="ai_question_of_asker"),
            models.Index(fields=["status", "-id"], name="ai_question_by_status"),
            models.Index(fields=["lease_until"], name="ai_question_open", condition=Q(status__in=_OPEN)),
        ]
        constraints = [
            models.CheckConstraint(
                name="ai_question_status", condition=Q(status__in=sorted(status.value for status in Status))
            ),
            models.CheckConstraint(
                name="ai_question_finished", condition=Q(status__in=_OPEN) | Q(finished_at__isnull=False)
            ),
        ]

    @property
    def is_open(self) -> bool:
        """Whether its answer is still to come."""
        return self.status in OPEN

    @property
    def allowed_commands(self) -> list[str]:
        return QUESTION.allowed_commands(self)

    def is_asked_by(self, actor: Actor) -> bool:
        return actor.id is not None and actor.id == self.asker_id


class DailySpend(models.Model):
    """What one payer spent on one day (UTC), and what is promised to questions under way. The row is the lock of the
    budget: two questions at the same instant cannot both have the last of it."""

    payer = models.CharField(max_length=60)
    day = models.DateField()
    spent_micro = models.BigIntegerField(default=0)
    reserved_micro = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["payer", "day"], name="ai_dailyspend_once"),
            models.CheckConstraint(
                name="ai_dailyspend_not_negative", condition=Q(spent_micro__gte=0, reserved_micro__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.payer} {self.day}"


class HelpPage(Entity):
    """One section of a page of docs/, as it is found and cited. Its id follows from page and heading (UUIDv5)."""

    id_prefix = "hlp"
    organization_path: ClassVar[str | None] = None

    page = models.CharField(max_length=200, help_text="Below docs/, without .md: how-to/refund.")
    anchor = models.CharField(max_length=200, blank=True, default="")
    title = models.CharField(max_length=300)
    page_title = models.CharField(max_length=300)
    body = models.TextField()

    class Meta:
        verbose_name = "help page"
        ordering = ["page", "id"]
        constraints = [models.UniqueConstraint(fields=["page", "anchor"], name="ai_helppage_place")]

    def __str__(self) -> str:
        return self.title

    @property
    def url(self) -> str:
        return f"/help/{self.page}#{self.anchor}" if self.anchor else f"/help/{self.page}"
