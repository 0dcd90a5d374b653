"""A small API over jobs, to try the base on: rows that need no table of their own."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import django_filters
from django.contrib import admin
from django.urls import include, path
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication

from core.actor import Actor, ActorType
from core.api import urls as api
from core.api.fields import CurrencyField, MinorField, PublicIdField
from core.api.filters import BooleanFilter, EntityFilterSet, PublicIdFilter
from core.api.operations import command_action, operation
from core.api.routers import Router
from core.api.serializers import EntitySerializer, InputSerializer
from core.api.views import APIView
from core.api.viewsets import EntityViewSet
from core.commands import command
from core.errors import InvalidTransition, ProviderUnavailable, Unauthenticated
from core.models import Job

OWNER = UUID(int=1)
calls: list[str] = []
gate = threading.Event()


class ToyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <number>` is the user of that number."""

    def authenticate(self, request: Any) -> tuple[Any, Any] | None:
        header = request.META.get("HTTP_AUTHORIZATION", "")
        if not header:
            return None
        if not header.startswith("Bearer ") or not header[7:].isdigit():
            raise Unauthenticated("The token is not valid.")
        request.actor = Actor(ActorType.USER, UUID(int=int(header[7:])))
        return request.actor, None

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


@command("core.toy.make")
def make(*, actor: Actor, kind: str, priority: int = 5) -> Job:
    calls.append(kind)
    return Job.objects.create(
        kind=kind,
        priority=priority,
        requested_by_type=str(actor.type),
        requested_by_id=actor.id,
        actor=actor.as_payload(),
    )


@command("core.toy.cancel")
def cancel(*, actor: Actor, job: Job) -> Job:
    raise InvalidTransition(current_status=job.state, command="cancel", allowed_commands=["discard", "replay"])


@command("core.toy.charge", is_durable=True)
def charge(*, actor: Actor, operation_key: str, kind: str) -> Job:
    calls.append(operation_key)
    job, _ = Job.objects.get_or_create(
        unique_key=operation_key,
        defaults={"kind": kind, "requested_by_type": str(actor.type), "requested_by_id": actor.id},
    )
    if len(calls) == 1 and kind == "provider_down":
        raise ProviderUnavailable("The provider cannot be reached.")
    return job


class JobSerializer(EntitySerializer):
    id = PublicIdField(Job)

    class Meta:
        model = Job
        fields = ("id", "kind", "state", "priority", "created_at")


class LegSerializer(InputSerializer):
    amount_minor = MinorField()
    currency = CurrencyField()


class MakeSerializer(InputSerializer):
    kind = serializers.CharField(max_length=100)
    priority = serializers.IntegerField(min_value=0, max_value=9, required=False)
    is_urgent = serializers.BooleanField(required=False)
    legs = LegSerializer(many=True, required=False)
    parent_id = PublicIdField(Job, required=False)


class ChangeSerializer(InputSerializer):
    priority = serializers.IntegerField(min_value=0, max_value=9, required=False)


class JobFilters(EntityFilterSet):
    kind = django_filters.CharFilter()
    parent = PublicIdFilter(Job, field_name="id")
    has_token = BooleanFilter(field_name="token", method="by_token")

    def by_token(self, rows: Any, name: str, value: bool) -> Any:
        return rows.filter(token__gt=0) if value else rows.filter(token=0)

    class Meta:
        model = Job
        fields: list[str] = []


class JobViewSet(EntityViewSet):
    authentication_classes = (ToyAuthentication,)
    queryset = Job.objects.all()
    serializer_class = JobSerializer
    filterset_class = JobFilters
    is_bounded = False

    @operation(request=MakeSerializer, response=JobSerializer, status=201)
    def create(self, request: Any) -> Job:
        data = self.input()
        return make(actor=request.actor, kind=data["kind"], priority=data.get("priority", 5))

    @operation(request=ChangeSerializer, response=JobSerializer)
    def partial_update(self, request: Any) -> Job:
        job = self.entity()
        job.priority = self.input().get("priority", job.priority)
        job.save()
        return job

    @command_action(response=JobSerializer)
    def cancel(self, request: Any) -> Job:
        return cancel(actor=request.actor, job=self.entity())

    @command_action(
        detail=False, request=MakeSerializer, response=JobSerializer, idempotency="operation", is_key_required=True
    )
    def charge(self, request: Any) -> Job:
        return charge(actor=request.actor, operation_key=request.operation_key, kind=self.input()["kind"])

    @command_action(detail=False, request=MakeSerializer, response=JobSerializer, has_secret=True)
    def keys(self, request: Any) -> Job:
        return make(actor=request.actor, kind=self.input()["kind"])

    @command_action(detail=False, request=MakeSerializer, response=JobSerializer)
    def crash(self, request: Any) -> Job:
        make(actor=request.actor, kind=self.input()["kind"])
        raise ZeroDivisionError("a fault of ours")

    @command_action(detail=False, request=MakeSerializer, response=JobSerializer)
    def wait(self, request: Any) -> Job:
        job = make(actor=request.actor, kind=self.input()["kind"])
        gate.wait(10)
        return job


class OpenView(APIView):
    authentication_classes = (ToyAuthentication,)
    is_public = True

    @operation()
    def get(self, request: Any) -> dict[str, str]:
        return {"who": request.actor.principal}


router = Router()
router.register("jobs", JobViewSet, basename="toy-job")

urlpatterns = [
    path("admin/", admin.site.urls),  # the frame names its sign-in page
    path("api/v1/", include(router.urls)),
    path("api/v1/open", OpenView.as_view()),
    *api.documentation,
    *api.unknown,
]
handler404 = "core.api.problems.not_found"
handler500 = "core.api.problems.server_error"
handler400 = "core.api.problems.bad_request"
