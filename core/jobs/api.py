"""Jobs over HTTP: what became of the work that somebody asked for."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.access import allows
from core.api.fields import PublicIdField
from core.api.filters import EntityFilterSet
from core.api.requests import Request
from core.api.serializers import EntitySerializer
from core.api.viewsets import EntityViewSet, command_action
from core.errors import InvalidTransition
from core.jobs import commands
from core.models import Job, JobState

_FOR_STAFF_ONLY = {"exception", "traceback"}


class ProblemSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """Why the last attempt failed."""

    code = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(required=False)
    errors = serializers.ListField(  # type: ignore[assignment]  # a member of the reply
        child=serializers.DictField(), required=False
    )


class JobSerializer(EntitySerializer):
    id = PublicIdField(Job)
    result = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields = (
            "id", "kind", "state", "progress_done", "progress_total", "result", "error", "attempts", "max_attempts",
            "run_at", "created_at", "started_at", "finished_at",
        )  # fmt: skip

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_result(self, job: Job) -> dict[str, Any] | None:
        return job.result

    @extend_schema_field(ProblemSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, Any] | None:
        # An exception's own words may tell too much; staff read them on the job's page in the admin.
        return job.error and {name: value for name, value in job.error.items() if name not in _FOR_STAFF_ONLY}


class JobFilters(EntityFilterSet):
    state = django_filters.ChoiceFilter(choices=JobState.choices)
    kind = django_filters.CharFilter()

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = []


class JobViewSet(EntityViewSet):
    """Jobs, for who asked for them; staff see all."""

    tag = "jobs"
    queryset = Job.objects.all()
    serializer_class = JobSerializer
    filterset_class = JobFilters

    def get_queryset(self) -> QuerySet[Any]:
        actor, rows = self.request.actor, Job.objects.all()
        if allows(actor, "core.job.view"):
            return rows
        if actor.id is None:
            return rows.none()
        return rows.filter(requested_by_id=actor.id, requested_by_type=str(actor.type))

    @command_action(
        request=None, response=JobSerializer, errors=(InvalidTransition,), summary="Queue a dead job again (staff)"
    )
    def replay(self, request: Request, **kwargs: Any) -> Job:
        return commands.replay(actor=request.actor, job=self.entity(), now=request.now)

    @command_action(
        request=None, response=JobSerializer, errors=(InvalidTransition,), summary="Discard a dead job (staff)"
    )
    def discard(self, request: Request, **kwargs: Any) -> Job:
        return commands.discard(actor=request.actor, job=self.entity(), now=request.now)


urlpatterns = [
    path("jobs", JobViewSet.as_view({"get": "list"}), name="job-list"),
    path("jobs/<str:id>", JobViewSet.as_view({"get": "retrieve"}), name="job-detail"),
    path("jobs/<str:id>/replay", JobViewSet.as_view({"post": "replay"}), name="job-replay"),
    path("jobs/<str:id>/discard", JobViewSet.as_view({"post": "discard"}), name="job-discard"),
]
