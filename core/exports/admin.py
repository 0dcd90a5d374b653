"""One's own exports in the admin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote_plus

from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from unfold.decorators import display

from core import clock
from core.admin import CommandAction, Effect, Empty, EntityAdmin, Figure
from core.admin.html import NOTHING, moment, state
from core.exports import commands
from core.models import Export, Job

UNDER_WAY = ("queued", "running")


def standing_of(export: Any) -> str:
    """Return the state in one word: queued, running, completed, canceled, failed or expired. `export` carries the
    state of its job (`ExportAdmin.get_queryset`)."""
    over = commands.over(export)
    if over == "completed" and export.expires_at is not None and export.expires_at <= clock.now():
        return "expired"
    return over or (export.job_state if export.job_state in UNDER_WAY else "failed")


CANCEL = CommandAction[Export](
    name="cancel",
    title="Cancel",
    permission="core.export.cancel",
    perform=lambda call: commands.cancel(actor=call.actor, export=call.obj, now=call.now),
    is_offered=lambda export: not commands.over(export),
    preview=lambda call: [Effect("State", standing_of(call.obj), "canceled")],
    text="Give the export up. What was written of its file is removed.",
    done="The export is canceled.",
    icon="cancel",
    is_dangerous=True,
)


@admin.register(Export)
class ExportAdmin(EntityAdmin):
    list_display = ("what", "standing", "progress", "rows_written", "made", "expires", "fetch")
    list_filter = ("format",)
    search_help_text = "Id of the export"
    commands = (CANCEL,)
    facts = (
        "title", "narrowed_by", "chosen", "format", "trouble", "name", "sha256", "made", "completed_at", "canceled_at",
        "expires_at",
    )  # fmt: skip
    empty = Empty(
        "No exports yet",
        "Open any list, narrow it as you need, and press Export. The file will be here and in your inbox.",
        icon="download",
    )
    is_exportable = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        job = Job.objects.filter(pk=OuterRef("job_id"))
        state_of_job = {
            f"job_{name}": Subquery(job.values(name)[:1])
            for name in ("state", "progress_done", "progress_total", "error")
        }
        return super().get_queryset(request).filter(requested_by_id=request.user.pk).annotate(**state_of_job)

    @display(description="List")
    def what(self, obj: Export) -> str:
        return f"{obj.title[:1].upper()}{obj.title[1:]}, {obj.format.upper()}"

    @display(description="State")
    def standing(self, obj: Export) -> object:
        word = standing_of(obj)
        return state(word, "success" if word == "completed" else None)

    @display(description="Progress")
    def progress(self, obj: Any) -> object:
        if standing_of(obj) not in UNDER_WAY:
            return NOTHING
        done, total = obj.job_progress_done or 0, obj.job_progress_total
        if not total:
            return format_html("<progress data-live></progress> {}", f"{done:,}" if done else "")
        return format_html(
            '<progress data-live max="{}" value="{}"></progress> {}', total, done, f"{done:,} of {total:,}"
        )

    @display(description="Rows")
    def rows_written(self, obj: Export) -> str:
        return f"{obj.rows:,}" if obj.completed_at else NOTHING

    @display(description="Asked for")
    def made(self, obj: Export) -> object:
        return moment(obj.created_at)

    @display(description="Kept until")
    def expires(self, obj: Export) -> object:
        return moment(obj.expires_at)

    @display(description="File")
    def fetch(self, obj: Export) -> object:
        if standing_of(obj) != "completed":
            return NOTHING
        return format_html(
            '<a class="ch-button" href="{}" download><span class="material-symbols-outlined">download</span>{}</a>',
            commands.address(obj),
            filesizeformat(obj.size),
        )

    @display(description="Narrowed by")
    def narrowed_by(self, obj: Export) -> str:
        return unquote_plus(obj.query).replace("&", ", ") or NOTHING

    @display(description="Columns")
    def chosen(self, obj: Export) -> str:
        return ", ".join(obj.columns)

    @display(description="Error")
    def trouble(self, obj: Any) -> str:
        error = obj.job_error or {}
        return str(error.get("detail") or error.get("title") or NOTHING) if standing_of(obj) == "failed" else NOTHING

    def get_title(self, obj: Export) -> object:
        return f"Export: {self.what(obj)}"

    def get_states(self, obj: Export) -> Iterable[object]:
        return [self.standing(obj)]

    def get_figures(self, request: HttpRequest, obj: Export) -> Sequence[Figure]:
        if standing_of(obj) in UNDER_WAY:
            return [Figure("Progress", self.progress(obj))]
        rows = Figure("Rows", self.rows_written(obj))
        return [rows, Figure("File", self.fetch(obj), f"kept until {obj.expires_at:%d %b %Y}")] if obj.size else [rows]
