"""The inbox of staff: the bell in the header and the page behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBadRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from accounts.actors import actor_of_user
from core import clock, context, ids
from core.actor import Actor
from core.ids import MalformedId
from notifications.models import Notification
from notifications.providers.mail import address_of
from notifications.selectors import inbox as selectors
from notifications.services import inbox
from notifications.states import KINDS

if TYPE_CHECKING:
    from project.admin import CountinghouseAdminSite

SHOWN: Final = 30


def bell(request: HttpRequest) -> dict[str, Any]:
    """Return what the header shows: how much is not read ("99+" at most), asked for only when it is drawn."""
    user = request.user
    if not (user.is_active and getattr(user, "is_staff", False)):
        return {}
    return {"inbox_unread": SimpleLazyObject(lambda: _counted(selectors.unread_count(actor_of_user(user))))}


def _counted(number: int) -> str:
    return f"{selectors.SHOWN_AT_MOST}+" if number > selectors.SHOWN_AT_MOST else str(number or "")


def inbox_view(site: CountinghouseAdminSite, request: HttpRequest) -> HttpResponseBase:
    """Show one's own inbox (GET: `?show=all`, `?before=` an id), or do with it what a button says (POST)."""
    actor = site.actor_of(request)
    if request.method == "POST":
        with context.changed(source="admin"):
            return _act(request, actor)
    rows = selectors.own(actor).filter(archived_at=None)
    is_all = request.GET.get("show") == "all"
    if not is_all:
        rows = rows.filter(read_at=None)
    before = request.GET.get("before", "")
    if before:
        try:
            rows = rows.filter(pk__lt=ids.decode(Notification.id_prefix, before))
        except MalformedId:
            return HttpResponseBadRequest("There is no such place in the inbox.")
    found = list(rows.order_by("-id")[: SHOWN + 1])
    shown = found[:SHOWN]
    query = {**({"show": "all"} if is_all else {}), "before": shown[-1].public_id if shown else ""}
    request.current_app = site.name
    return TemplateResponse(
        request,
        "admin/inbox.html",
        {
            **site.each_context(request),
            "title": "Inbox",
            "entries": [_entry(one) for one in selectors.readable(shown)],
            "is_all": is_all,
            "is_first": not before,
            "older": f"?{urlencode(query)}" if len(found) > SHOWN else "",
        },
    )


def _entry(one: selectors.Readable) -> dict[str, Any]:
    return {
        "row": one.row,
        "subject": one.subject,
        "text": one.text,
        "kind": KINDS[one.row.kind].label,
        "link": address_of(one.row.url),
        "is_ours": one.row.url.startswith("/admin/"),
    }


def _act(request: HttpRequest, actor: Actor) -> HttpResponseBase:
    """Mark everything, or one, as read or not; opening one reads it and goes where it leads."""
    verb, now = request.POST.get("do", ""), clock.now()
    here = reverse("admin:inbox") + ("?show=all" if request.POST.get("show") == "all" else "")
    if verb == "mark_all_read":
        marked = inbox.mark_all_read(actor=actor, now=now)
        messages.success(request, f"Marked as read: {marked}.")
        return HttpResponseRedirect(here)
    act = {"open": inbox.mark_read, "mark_read": inbox.mark_read, "mark_unread": inbox.mark_unread}.get(verb)
    try:
        key = ids.decode(Notification.id_prefix, request.POST.get("id", ""))
    except MalformedId:
        key = None
    if act is None or key is None:
        return HttpResponseBadRequest("This form is not one of the inbox.")
    row = get_object_or_404(selectors.own(actor), pk=key)
    act(actor=actor, notification=row, now=now)
    goes_on = verb == "open" and row.url.startswith("/admin/")
    return HttpResponseRedirect(row.url if goes_on else here)
