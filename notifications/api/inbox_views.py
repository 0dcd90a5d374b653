"""One's own inbox, and how one wants to be told."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from core.api.filters import BooleanFilter, EntityFilterSet, filtered
from core.api.pagination import CursorPage
from core.api.replies import Reply
from core.api.requests import Request
from core.api.views import APIView
from core.api.viewsets import EntityViewSet, command_action, operation
from notifications.api import inbox_serializers as s
from notifications.errors import KindIsMandatory
from notifications.models import Notification, NotificationPreferences
from notifications.preferences import Choice, Choices
from notifications.selectors import inbox as selectors
from notifications.selectors import preferences as chosen
from notifications.services import inbox, preferences
from notifications.states import KIND_CHOICES, KINDS, MailChoice


class NotificationFilters(EntityFilterSet):
    is_read = BooleanFilter(field_name="read_at", lookup_expr="isnull", exclude=True)
    is_archived = BooleanFilter(
        field_name="archived_at", lookup_expr="isnull", exclude=True, label="Without it, what is put away is left out."
    )
    kind = django_filters.ChoiceFilter(choices=KIND_CHOICES)

    class Meta:
        model = Notification
        fields: list[str] = []


class NotificationViewSet(EntityViewSet):
    """What one was told oneself, the newest first; keys have no inbox."""

    tag = "notifications"
    queryset = Notification.objects.all()
    serializer_class = s.NotificationSerializer
    filterset_class = NotificationFilters

    def get_queryset(self) -> QuerySet[Any]:
        inbox.require_person(self.request.actor)
        return selectors.own(self.request.actor)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        rows = self.get_queryset()
        if "is_archived" not in request.GET:
            rows = rows.filter(archived_at=None)
        page = CursorPage().page(filtered(NotificationFilters, request.GET, rows), request._request, self.ordering)
        return Reply(page.document(s.NotificationSerializer.represent_all(page.rows)))

    @command_action(request=None, response=s.NotificationSerializer, summary="Mark a notification as read")
    def mark_read(self, request: Request, **kwargs: Any) -> Notification:
        return inbox.mark_read(actor=request.actor, notification=self.entity(), now=request.now)

    @command_action(request=None, response=s.NotificationSerializer, summary="Mark a notification as not read")
    def mark_unread(self, request: Request, **kwargs: Any) -> Notification:
        return inbox.mark_unread(actor=request.actor, notification=self.entity(), now=request.now)

    @command_action(request=None, response=s.NotificationSerializer, summary="Put a notification away")
    def archive(self, request: Request, **kwargs: Any) -> Notification:
        return inbox.archive(actor=request.actor, notification=self.entity(), now=request.now)

    @operation(
        request=s.MarkAllInput,
        response=s.MarkedReply,
        operation_id="notifications_mark_all_read",
        summary="Mark everything as read",
    )
    def mark_all_read(self, request: Request) -> dict[str, int]:
        return {"marked": inbox.mark_all_read(actor=request.actor, now=request.now, **self.input())}


class SummaryView(APIView):
    tag = "notifications"

    @operation(response=s.SummarySerializer, operation_id="notifications_summary", summary="How much is not read")
    def get(self, request: Request) -> dict[str, Any]:
        inbox.require_person(request.actor)
        counted = selectors.unread_by_kind(request.actor)
        return {
            "unread": sum(counted.values()),
            "by_kind": [{"kind": kind, "unread": number} for kind, number in counted.items()],
        }


class PreferencesView(APIView):
    tag = "notifications"

    @operation(
        response=s.PreferencesSerializer,
        operation_id="notifications_preferences_retrieve",
        summary="How I am told",
    )
    def get(self, request: Request) -> Reply:
        return _preferences(chosen.own(inbox.require_person(request.actor)), is_staff=request.actor.is_staff)

    @operation(
        request=s.PreferencesInput,
        response=s.PreferencesSerializer,
        errors=(KindIsMandatory,),
        operation_id="notifications_preferences_update",
        summary="Choose how I am told",
    )
    def put(self, request: Request) -> Reply:
        """Kinds that are not named get their defaults back."""
        self.check_version(preferences.stored(actor=request.actor))
        data = self.input()
        choices = {one["kind"]: Choice(one["inbox"], MailChoice(one["email"])) for one in data["choices"]}
        row = preferences.change(actor=request.actor, choices=choices, time_zone=data["time_zone"], now=request.now)
        return _preferences(row, is_staff=request.actor.is_staff)


def _preferences(row: NotificationPreferences, *, is_staff: bool) -> Reply:
    choices = [
        {
            "kind": name,
            "label": KINDS[name].label,
            "is_mandatory": KINDS[name].is_mandatory,
            "inbox": choice.inbox,
            "email": str(choice.email),
        }
        for name, choice in Choices(row.choices).all(is_staff=is_staff).items()
    ]
    return Reply({"time_zone": row.time_zone, "choices": choices}, version=row.version)
