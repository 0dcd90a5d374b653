"""Webhooks: endpoints, what was sent to them, and sending it again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet

from accounts.models import Organization
from core import context
from core.access import require
from core.api.filters import BooleanFilter, EntityFilterSet, PublicIdFilter
from core.api.replies import Reply
from core.api.requests import Request
from core.api.views import APIView
from core.api.viewsets import EntityViewSet, command_action, operation
from core.errors import InvalidInput, InvalidTransition
from core.jobs.api import JobSerializer
from notifications.api import webhook_serializers as s
from notifications.errors import EndpointDisabled, TooManyEndpoints
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.selectors import webhooks
from notifications.services import webhook_endpoints, webhook_replays
from notifications.states import DeliveryStatus


class EventTypesView(APIView):
    tag = "webhooks"

    @operation(
        response=s.EventTypesSerializer, operation_id="webhooks_event_types_list", summary="Which events may be sent"
    )
    def get(self, request: Request) -> dict[str, Any]:
        """Made from the declarations of the events."""
        names = ("name", "subject", "text", "schema_version")
        return {"data": [{name: getattr(kind, name) for name in names} for kind in webhooks.published()]}


class WebhookViewSet(EntityViewSet):
    """What belongs to the organisation for which somebody acts; staff see all."""

    tag = "webhooks"
    view_permission: ClassVar[str]

    def get_queryset(self) -> QuerySet[Any]:
        require(self.request.actor, self.view_permission)
        rows: QuerySet[Any] = self.queryset.all()
        if self.request.actor.is_staff:
            return rows
        return rows.filter(organization_id=context.current().organization_id)


class EndpointFilters(EntityFilterSet):
    organization_id = PublicIdFilter(Organization)
    is_enabled = BooleanFilter()

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar[list[str]] = []


class EndpointViewSet(WebhookViewSet):
    queryset = WebhookEndpoint.objects.filter(deleted_at=None)
    serializer_class = s.EndpointSerializer
    filterset_class = EndpointFilters
    view_permission = "notifications.webhook_endpoint.view"

    @operation(
        request=s.EndpointInput,
        response=s.EndpointSecretSerializer,
        status=201,
        has_secret=True,
        errors=(TooManyEndpoints,),
        summary="Set up an endpoint",
    )
    def create(self, request: Request) -> WebhookEndpoint:
        """The secret stands in this reply and nowhere else."""
        data = self.input()
        organization = data.pop("organization", None) or self._own()
        made = webhook_endpoints.create(actor=request.actor, organization=organization, now=request.now, **data)
        return _with_secret(*made)

    def _own(self) -> Organization:
        own = context.current().organization_id
        if own is None:
            raise InvalidInput.at("/organization_id", "Say for which organisation.", "required")
        return Organization.objects.get(pk=own)

    @operation(request=s.EndpointChange, response=s.EndpointSerializer, summary="Change an endpoint")
    def partial_update(self, request: Request, **kwargs: Any) -> WebhookEndpoint:
        return webhook_endpoints.update(actor=request.actor, endpoint=self.entity(), now=request.now, **self.input())

    @operation(response=None, status=204, summary="Remove an endpoint")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        webhook_endpoints.delete(actor=request.actor, endpoint=self.entity(), now=request.now)

    @command_action(
        request=s.RotateInput, response=s.EndpointSecretSerializer, has_secret=True, summary="Replace the secret"
    )
    def rotate_secret(self, request: Request, **kwargs: Any) -> WebhookEndpoint:
        """For a day (or `overlap_seconds`) both secrets sign, so that receivers can change without a gap."""
        overlap = timedelta(seconds=self.input()["overlap_seconds"])
        endpoint, secret = webhook_endpoints.rotate_secret(
            actor=request.actor, endpoint=self.entity(), overlap=overlap, now=request.now
        )
        return _with_secret(endpoint, secret, request.now + overlap if overlap else None)

    @command_action(response=s.EndpointSerializer, errors=(InvalidTransition,), summary="Send events again")
    def enable(self, request: Request, **kwargs: Any) -> WebhookEndpoint:
        """What was missed meanwhile is sent by `recover`."""
        return webhook_endpoints.enable(actor=request.actor, endpoint=self.entity(), now=request.now)

    @command_action(response=s.EndpointSerializer, errors=(InvalidTransition,), summary="Send nothing for now")
    def disable(self, request: Request, **kwargs: Any) -> WebhookEndpoint:
        return webhook_endpoints.disable(actor=request.actor, endpoint=self.entity(), now=request.now)

    @command_action(response=s.DeliveryDetailSerializer, idempotency="operation", summary="Send a test now")
    def send_test(self, request: Request, **kwargs: Any) -> WebhookDelivery:
        """Waits for the answer, ten seconds at most, and shows it. A test is not tried again."""
        return webhook_replays.send_test(
            actor=request.actor, endpoint=self.entity(), operation_key=request.operation_key, now=request.now
        )

    @command_action(
        request=s.RecoverInput,
        response=JobSerializer,
        status=202,
        errors=(EndpointDisabled,),
        summary="Send what was missed since a moment",
    )
    def recover(self, request: Request, **kwargs: Any) -> Reply:
        """Queues what failed for good or was skipped while the endpoint was disabled, in its order."""
        job = webhook_replays.recover(actor=request.actor, endpoint=self.entity(), now=request.now, **self.input())
        address = f"/api/v1/jobs/{job.public_id}"
        return Reply(JobSerializer.represent(job), status=202, headers={"Location": address})


class DeliveryFilters(EntityFilterSet):
    organization_id = PublicIdFilter(Organization)
    endpoint_id = PublicIdFilter(WebhookEndpoint)
    event_id = PublicIdFilter("evt")
    event_type = django_filters.CharFilter(max_length=100)
    status = django_filters.MultipleChoiceFilter(choices=[(one.value, one.value) for one in DeliveryStatus])

    class Meta:
        model = WebhookDelivery
        fields: ClassVar[list[str]] = []


class DeliveryViewSet(WebhookViewSet):
    queryset = WebhookDelivery.objects.all()
    serializer_class = s.DeliverySerializer
    filterset_class = DeliveryFilters
    view_permission = "notifications.webhook_delivery.view"

    @operation(response=s.DeliveryDetailSerializer)
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        """With what is sent and every answer."""
        self.serializer_class = s.DeliveryDetailSerializer
        return super().retrieve(request, *args, **kwargs)

    @command_action(
        response=s.DeliverySerializer, errors=(InvalidTransition, EndpointDisabled), summary="Send a delivery again"
    )
    def replay(self, request: Request, **kwargs: Any) -> WebhookDelivery:
        return webhook_replays.replay(actor=request.actor, delivery=self.entity(), now=request.now)


def _with_secret(endpoint: WebhookEndpoint, secret: str, previous_until: Any = None) -> WebhookEndpoint:
    endpoint.secret = secret  # type: ignore[attr-defined]
    endpoint.previous_secret_expires_at = previous_until  # type: ignore[attr-defined]
    return endpoint
