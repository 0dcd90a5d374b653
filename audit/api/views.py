"""`GET /api/v1/audit/events`: who did what, when, from where and why."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django import forms
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.models import Event
from audit.selectors.reading import Readable, readable
from core import context, ids
from core.access import allows, require
from core.actor import Actor
from core.api.fields import ID_SUFFIX, PublicIdField
from core.api.filters import PublicIdFilter, filtered
from core.api.pagination import CursorPage
from core.api.replies import Reply, moment
from core.api.requests import Request
from core.api.viewsets import EntityViewSet
from core.models import entities_by_prefix, entities_by_type, with_public_ids


class NamedSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """Something named by type and id."""

    type = serializers.CharField(help_text="What it is: `user`, `subscription`, …")
    id = serializers.CharField(allow_null=True, help_text="Its public id; null for the system and for the anonymous.")


class EventSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    id = PublicIdField(Event.id_prefix)
    type = serializers.CharField(help_text="`app.object.past_tense`; the reference lists all.")
    schema_version = serializers.IntegerField()
    occurred_at = serializers.DateTimeField()
    actor = NamedSerializer()
    on_behalf_of = NamedSerializer(allow_null=True)
    organization_id = PublicIdField("org", allow_null=True)
    subject = NamedSerializer()
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # a member of the reply, not the serializer's own
    context = serializers.DictField(  # type: ignore[assignment]
        help_text="request_id, trace_id, source, idempotency_key, reason, ip, user_agent."
    )
    command_id = serializers.UUIDField(allow_null=True, help_text="Events of one command share it.")
    hidden = serializers.ListField(
        child=serializers.CharField(), help_text="Personal fields that you may not read, or whose person was erased."
    )


class AnyIdField(forms.CharField):
    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            prefix, key = ids.split(text)
        except ids.MalformedId as fault:
            raise forms.ValidationError(str(fault), code="malformed_id") from None
        if prefix not in entities_by_prefix:
            raise forms.ValidationError(f"No kind of object has ids that begin with '{prefix}_'.", code="malformed_id")
        return prefix, key


@extend_schema_field(OpenApiTypes.STR)
class NamedFilter(django_filters.Filter):
    """By the public id of any object; `column` is `subject` or `actor`."""

    field_class = AnyIdField

    @property
    def pattern(self) -> str:
        """The regular expression of what it takes, for the schema."""
        return f"^({'|'.join(sorted(entities_by_prefix))})_{ID_SUFFIX}$"

    def filter(self, qs: QuerySet[Any], value: tuple[str, UUID] | None) -> QuerySet[Any]:
        if value is None:
            return qs
        prefix, key = value
        if self.field_name == "subject":
            return qs.filter(subject_id=key, subject_type=entities_by_prefix[prefix].__name__.lower())
        return qs.filter(actor_id=key)


class EventFilters(django_filters.FilterSet):
    type = django_filters.CharFilter(max_length=100)
    actor = NamedFilter(field_name="actor", label="The public id of who acted.")
    subject = NamedFilter(field_name="subject", label="The public id of what it happened to.")
    organization = PublicIdFilter("org", field_name="organization_id")
    occurred_after = django_filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="gte")
    occurred_before = django_filters.IsoDateTimeFilter(field_name="occurred_at", lookup_expr="lt")
    command_id = django_filters.UUIDFilter()
    request_id = django_filters.CharFilter(field_name="context__request_id", max_length=200)

    class Meta:
        model = Event
        fields: ClassVar[list[str]] = []


class EventViewSet(EntityViewSet):
    """The events of the context's organisation, for its administrators; staff read all."""

    tag = "audit"
    queryset = Event.objects.all()
    serializer_class = EventSerializer
    filterset_class = EventFilters

    def get_queryset(self) -> QuerySet[Any]:
        actor, rows = self.request.actor, Event.objects.all()
        require(actor, "audit.event.read")
        if actor.is_staff or actor.is_system:
            return rows
        return rows.filter(organization_id=context.current().organization_id)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        rows = filtered(EventFilters, request.GET, self.get_queryset())
        page = CursorPage().page(rows, request._request, self.ordering)
        return Reply(page.document(_written(page.rows, request.actor)))

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        return Reply(_written([self.entity()], request.actor)[0])

    def check_version(self, obj: Any) -> Any:
        """An event has no versions: it never changes."""
        return obj


def _written(rows: list[Event], actor: Actor) -> list[dict[str, Any]]:
    """What is shown of events: personal fields in clear for who may read them."""
    may = allows(actor, "audit.personal.read")
    return [_document(item) for item in readable(rows, may_read_personal=may)]


def _document(item: Readable) -> dict[str, Any]:
    event = item.event
    behalf = _named(event.on_behalf_of_type, event.on_behalf_of_id) if event.on_behalf_of_type else None
    return {
        "id": event.public_id,
        "type": event.type,
        "schema_version": event.schema_version,
        "occurred_at": moment(event.occurred_at),
        "actor": _named(event.actor_type, event.actor_id),
        "on_behalf_of": behalf,
        "organization_id": _public("organization", event.organization_id),
        "subject": _named(event.subject_type, event.subject_id),
        "before": with_public_ids(item.before),
        "after": with_public_ids(item.after),
        "data": with_public_ids(item.data),
        "context": item.context,
        "command_id": str(event.command_id) if event.command_id else None,
        "hidden": list(item.hidden),
    }


def _named(kind: str, key: UUID | None) -> dict[str, Any]:
    return {"type": kind, "id": _public("user" if kind == "staff" else kind, key)}


def _public(kind: str, key: UUID | None) -> str | None:
    if key is None:
        return None
    model = entities_by_type.get(kind.replace("_", ""))
    return ids.encode(model.id_prefix, key) if model else str(key)
