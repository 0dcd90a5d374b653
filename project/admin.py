"""The admin's site: what staff see first, who they are to the services, and the box that finds anything."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, update_wrapper
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import PasswordChangeView
from django.db.models import Model
from django.http import HttpRequest, JsonResponse, QueryDict
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse, TemplateResponse
from django.urls import URLPattern, path, reverse
from unfold.sites import UnfoldAdminSite

from accounts.actors import actor_of_user, session_id_of_desk
from accounts.forms import AdminSignInForm, OwnPasswordForm
from accounts.models import User
from ai import admin as assistant
from core import palette, streams
from core.access import allows
from core.actor import Actor
from core.admin.html import links_to
from core.exports.pages import download_view
from core.timeline import TimelineEntry
from project import admin_timeline
from project.admin_inbox import bell, inbox_view


class CountinghouseAdminSite(UnfoldAdminSite):
    """Unfold's site with our dashboard and our own way to find things."""

    index_title = "Dashboard"
    index_template = "admin/dashboard.html"
    enable_nav_sidebar = True
    login_form = AdminSignInForm

    def extra_urls(self) -> list[URLPattern]:
        return [
            path("inbox/", self.admin_view(partial(inbox_view, self)), name="inbox"),
            path("find/", self.admin_view(self.find_view), name="find"),
            path("exports/<str:export_id>/", self.admin_view(partial(download_view, self)), name="export_download"),
            *assistant.Pages(self).urls(),
        ]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Serve a page with links to those pages only that its reader may open. It is rendered here, inside."""
        inner = super().admin_view(view, cacheable)

        def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with links_to(partial(self.opens, request)):
                reply: HttpResponseBase = inner(request, *args, **kwargs)
                return reply.render() if isinstance(reply, SimpleTemplateResponse) else reply

        return update_wrapper(page, inner)

    def opens(self, request: HttpRequest, model: type[Model]) -> bool:
        """Whether who asks may open the pages of a kind of things; asked once in a request."""
        known: dict[type[Model], bool] = request.__dict__.setdefault("kinds_opened", {})
        if model not in known:
            registered = self._registry.get(model)
            known[model] = registered is None or bool(registered.has_view_permission(request))
        return known[model]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), **bell(request)}

    def find_view(self, request: HttpRequest) -> JsonResponse:
        """Answer `?q=` with what was found (`core.palette`); for staff only, never cached."""
        answer = palette.find(request.GET.get("q", ""), actor=self.actor_of(request))
        return JsonResponse(answer.as_payload(), headers={"Cache-Control": "no-store"})

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Change one's own password, by the same command as the API."""
        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse(f"{self.name}:password_change_done"),
            template_name=self.password_change_template or "registration/password_change_form.html",
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Sign out; what is read live in this browser ends too."""
        page = super().logout(request, extra_context)
        streams.wake(streams.ACCESS_CHANGED)
        return page

    def actor_of(self, request: HttpRequest) -> Actor:
        """Return the staff member who asks, as services know them."""
        key = getattr(getattr(request, "session", None), "session_key", None)
        return actor_of_user(cast(User, request.user), session_id_of_desk(key) if key else None)

    def request_as(self, actor: Actor, query: str) -> HttpRequest:
        """Return a request for a list as `actor` would send it now: whoever is no person of ours (any more) is
        anonymous."""
        request = HttpRequest()
        request.method, request.GET = "GET", QueryDict(query)
        request.user = (User.objects.filter(pk=actor.id).first() if actor.id else None) or AnonymousUser()
        return request

    def timeline_of(
        self, subjects: Sequence[Model], *, actor: Actor, limit: int, before: str = ""
    ) -> Sequence[TimelineEntry]:
        """Return what happened to the objects, newest first, with personal fields for who may read them;
        to who may not read events, nothing."""
        if not allows(actor, "audit.event.read"):
            return ()
        may = allows(actor, "audit.personal.read")
        return admin_timeline.of(subjects, limit=limit, before=before, may_read_personal=may)
