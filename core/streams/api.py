"""`POST /api/v1/streams/tickets`: how a client gets into a stream."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from core.api.operations import operation
from core.api.requests import Request
from core.api.serializers import InputSerializer
from core.api.views import APIView
from core.errors import Forbidden, NotFound
from core.streams import tickets


class TicketInput(InputSerializer):
    stream = serializers.CharField(max_length=50, help_text="The name of the stream: notifications, ask, …")
    parameters = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False),
        required=False,
        help_text="What the stream takes; most take none.",
    )


class TicketSerializer(serializers.Serializer):  # type: ignore[type-arg]  # not subscriptable at run time
    """A ticket: shown once, good for one connection within a minute."""

    ticket = serializers.CharField()
    url = serializers.URLField(help_text="What to connect to, with the ticket in it.")
    expires_at = serializers.DateTimeField()


class TicketsView(APIView):
    tag = "streams"

    @operation(
        request=TicketInput,
        response=TicketSerializer,
        status=201,
        has_secret=True,
        errors=(Forbidden, NotFound),
        summary="Get a ticket for a live stream",
        operation_id="streams_tickets_create",
        examples=[OpenApiExample("Notifications", {"stream": "notifications"}, request_only=True)],
    )
    def post(self, request: Request) -> dict[str, Any]:
        asked = self.input()
        ticket = tickets.issue(
            stream=asked["stream"], actor=request.actor, parameters=asked.get("parameters"), now=request.now
        )
        return {"ticket": ticket.token, "url": ticket.url, "expires_at": ticket.expires_at}


urlpatterns = [path("streams/tickets", TicketsView.as_view(), name="stream-tickets")]
