"""Jobs and schedules in the admin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from core.admin import Call, CommandAction, CommandForm, Effect, Empty, EntityAdmin, Figure
from core.admin.html import NOTHING, moment, state
from core.jobs import commands
from core.models import Job, JobState, Schedule


def _is_dead(job: Job) -> bool:
    return job.state == JobState.DEAD


REPLAY = CommandAction[Job](
    name="replay",
    title="Replay",
    permission="core.job.replay",
    perform=lambda call: commands.replay(actor=call.actor, job=call.obj, now=call.now),
    is_offered=_is_dead,
    preview=lambda call: [Effect("State", "dead", "queued"), Effect("Attempts", call.obj.attempts, 0)],
    text="Queue the job again with all its attempts, once the cause of its failure is gone.",
    done="The job is queued again.",
    icon="replay",
)
DISCARD = CommandAction[Job](
    name="discard",
    title="Discard",
    permission="core.job.discard",
    perform=lambda call: commands.discard(actor=call.actor, job=call.obj, now=call.now),
    is_offered=_is_dead,
    preview=lambda call: [Effect("State", "dead", "discarded")],
    text="Give the job up. Its work is not done, by anyone.",
    done="The job is discarded.",
    icon="delete",
    is_dangerous=True,
)


@admin.register(Job)
class JobAdmin(EntityAdmin):
    list_display = ("kind", "standing", "progress", "attempts", "waits_until", "created", "identifier")
    list_filter = ("state",)
    search_by = ("kind", "unique_key")
    search_help_text = "Kind, unique key or id"
    commands = (REPLAY, DISCARD)
    facts = (
        "kind", "given", "returned", "trouble", "traceback", "requested_by", "unique_key", "priority", "run_at",
        "deadline", "published_at", "lease_until", "started_at", "finished_at", "created_at",
    )  # fmt: skip
    empty = Empty("No jobs yet", "Work that outlasts a request appears here: renewals, mails, imports.", icon="bolt")

    @display(description="State")
    def standing(self, obj: Job) -> object:
        is_retry = obj.state == JobState.QUEUED and obj.attempts > 0
        return state("retrying" if is_retry else obj.state)

    @display(description="Progress")
    def progress(self, obj: Job) -> str:
        if not obj.progress_total:
            return str(obj.progress_done) if obj.progress_done else NOTHING
        share = min(100, 100 * obj.progress_done // obj.progress_total)
        return format_html(
            '<progress max="100" value="{}"></progress> {} of {}', share, obj.progress_done, obj.progress_total
        )

    @display(description="Next attempt")
    def waits_until(self, obj: Job) -> object:
        return moment(obj.run_at) if obj.state == JobState.QUEUED else NOTHING

    @display(description="Payload")
    def given(self, obj: Job) -> object:
        return _json(obj.payload)

    @display(description="Result")
    def returned(self, obj: Job) -> object:
        return _json(obj.result)

    @display(description="Error")
    def trouble(self, obj: Job) -> object:
        return _json({name: value for name, value in (obj.error or {}).items() if name != "traceback"})

    @display(description="Traceback")
    def traceback(self, obj: Job) -> object:
        text = (obj.error or {}).get("traceback")
        return format_html('<pre class="ch-pre">{}</pre>', text) if text else NOTHING

    @display(description="Asked for by")
    def requested_by(self, obj: Job) -> str:
        return f"{obj.requested_by_type} {obj.requested_by_id or ''}".strip()

    def get_title(self, obj: Job) -> object:
        return obj.kind

    def get_states(self, obj: Job) -> Iterable[object]:
        return [self.standing(obj)]

    def get_figures(self, request: HttpRequest, obj: Job) -> Sequence[Figure]:
        tone = "danger" if obj.state == JobState.DEAD else ""
        total = f"of {obj.progress_total}" if obj.progress_total else ""
        return [
            Figure("Attempts", obj.attempts, f"of {obj.max_attempts}", tone),
            Figure("Progress", obj.progress_done, total),
        ]


class ScheduleForm(CommandForm):
    cron = forms.CharField(
        max_length=100, widget=UnfoldAdminTextInputWidget(), help_text="Minute, hour, day, month, weekday; in UTC."
    )
    is_enabled = forms.BooleanField(required=False, widget=UnfoldBooleanSwitchWidget(), label="Enabled")

    def __init__(self, *args: Any, obj: Schedule, **kwargs: Any) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.fields["cron"].initial, self.fields["is_enabled"].initial = obj.cron, obj.is_enabled


def _change(call: Call[Schedule]) -> Schedule:
    return commands.change_schedule(actor=call.actor, schedule=call.obj, now=call.now, **call.data)


def _effects(call: Call[Schedule]) -> Iterable[Effect]:
    yield Effect("When", call.obj.cron, call.data["cron"])
    yield Effect("Enabled", _yes(call.obj.is_enabled), _yes(call.data["is_enabled"]))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@admin.register(Schedule)
class ScheduleAdmin(EntityAdmin):
    list_display = ("name", "kind", "cron", "enabled", "next_run", "last_run")
    search_by = ("^name", "kind")
    search_help_text = "Name or id"
    facts = ("name", "kind", "cron", "enabled", "next_run_at", "last_run_at")
    empty = Empty("No schedules yet", "The relay adds them when it starts.", "python3 manage.py relay", "schedule")
    commands = (
        CommandAction[Schedule](
            name="change",
            title="Change",
            permission="core.schedule.change",
            perform=_change,
            preview=_effects,
            form=ScheduleForm,
            text="Set when the job is made, and whether.",
            done="The schedule is changed.",
            icon="schedule",
        ),
    )

    @display(description="State")
    def enabled(self, obj: Schedule) -> object:
        return state("enabled" if obj.is_enabled else "disabled")

    @display(description="Next")
    def next_run(self, obj: Schedule) -> object:
        return moment(obj.next_run_at) if obj.is_enabled else NOTHING

    @display(description="Last")
    def last_run(self, obj: Schedule) -> object:
        return moment(obj.last_run_at)


def _json(value: Any) -> object:
    if not value:
        return NOTHING
    return format_html('<pre class="ch-pre">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False))
