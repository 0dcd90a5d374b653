"""The page on which a list is asked for as a file, and the address at which the file is fetched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.html import format_html
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from core import clock, context
from core.admin.actions import CommandForm
from core.admin.html import admin_url, list_url
from core.commands import record_refusal
from core.errors import AppError, Forbidden, NotFound
from core.exports import commands, files
from core.exports.listings import Listing, listing_of
from core.ids import MalformedId, decode, new_id
from core.models import Export, ExportFormat

if TYPE_CHECKING:
    from core.admin.entities import EntityAdmin

_TOKEN = re.compile("[0-9a-f]{32}")
CONTENT_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class ExportForm(CommandForm):
    """What is asked: `obj` is the listing."""

    file_format = forms.ChoiceField(
        label="Format", choices=ExportFormat.choices, initial=ExportFormat.CSV, widget=UnfoldAdminRadioSelectWidget()
    )
    has_mark = forms.BooleanField(
        required=False,
        initial=True,
        label="For Excel",
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Begin a CSV with a byte order mark, by which Excel knows UTF-8. Turn it off for programs.",
    )
    columns = forms.MultipleChoiceField(widget=UnfoldAdminCheckboxSelectMultipleWidget())

    def __init__(self, *args: Any, obj: Listing, **kwargs: Any) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        columns = self.fields["columns"]
        assert isinstance(columns, forms.MultipleChoiceField)
        columns.choices = [(column.name, " + ".join(column.headers)) for column in obj.columns]
        columns.initial = [column.name for column in obj.columns]


def request_view(model_admin: EntityAdmin, request: HttpRequest) -> HttpResponseBase:
    """Serve the form for the list with the filters of the address, and ask on POST."""
    actor = model_admin.admin_site.actor_of(request)
    try:
        listing = listing_of(actor=actor, name=model_admin.opts.label_lower, query=request.GET.urlencode())
    except Forbidden:
        raise PermissionDenied from None
    except NotFound as error:
        raise Http404(error.detail) from None
    except AppError as error:
        messages.error(request, error.detail)
        return HttpResponseRedirect(list_url(model_admin.model))
    if request.method != "POST":
        return _page(model_admin, request, listing, ExportForm(obj=listing))
    form = ExportForm(request.POST, obj=listing)
    if not form.is_valid():
        return _page(model_admin, request, listing, form)
    token = request.POST.get("token", "")
    key = token if _TOKEN.fullmatch(token) else new_id().hex
    data = dict(form.cleaned_data)
    with context.changed(source="admin", reason=data.pop("reason"), idempotency_key=f"admin:{key}"):
        try:
            commands.request(actor=actor, listing=listing, key=key, now=clock.now(), **data)
        except AppError as error:
            record_refusal(error)
            return _page(model_admin, request, listing, form, error)
    messages.success(request, "The file is being written. Its link will be here and in your inbox.")
    return HttpResponseRedirect(list_url(Export))


def _page(
    model_admin: EntityAdmin, request: HttpRequest, listing: Listing, form: ExportForm, error: AppError | None = None
) -> HttpResponseBase:
    request.current_app = model_admin.admin_site.name
    narrowed = [(name, value) for name, values in QueryDict(listing.query).lists() for value in values]
    page = TemplateResponse(
        request,
        "admin/export.html",
        {
            **model_admin.admin_site.each_context(request),
            "title": f"Export {listing.title}",
            "opts": model_admin.opts,
            "listing": listing,
            "narrowed": narrowed,
            "list_url": list_url(model_admin.model, listing.query),
            "form": form,
            "error": error,
            "days": settings.EXPORT_RETENTION_DAYS,
            "token": new_id().hex,
        },
    )
    page.status_code = error.status if error is not None else 200
    return page


def download_view(site: Any, request: HttpRequest, export_id: str) -> HttpResponseBase:
    """Send the file to who asked for it; to anybody else there is no such thing. Its name, type and headers are ours:
    nothing is shown in the browser, nothing is kept by a cache."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    actor = site.actor_of(request)
    try:
        export = Export.objects.filter(pk=decode(Export.id_prefix, export_id), requested_by_id=actor.id).first()
    except MalformedId:
        export = None
    if export is None:
        raise Http404("There is no such export, or another person asked for it.")
    try:
        content = files.opened(export) if export.file_key else None
        with context.changed(source="admin"):
            export = commands.download(actor=actor, export=export, now=clock.now())
    except (AppError, FileNotFoundError) as error:
        if isinstance(error, AppError):
            record_refusal(error)
        text = format_html("The file of {} is not there (any more). Ask for the list again.", str(export))
        messages.warning(request, text)
        return HttpResponseRedirect(admin_url(export))
    response = FileResponse(
        content,
        as_attachment=True,
        filename=export.name,
        content_type=CONTENT_TYPES[ExportFormat(export.format)],
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
    response.headers["Content-Length"] = str(export.size)
    response._holds_secret = True  # type: ignore[attr-defined]  # never compressed on the way: core.headers
    return response
