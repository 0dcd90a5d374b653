"""Webhook endpoints and deliveries in the admin: what goes where, what was answered, and sending it again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from core.admin import Call, CommandAction, CommandForm, Effect, Empty, EntityAdmin, Figure, Outcome, Section
from core.admin.html import NOTHING, id_link, link, list_url, moment, state
from core.exports.columns import Kind, exports_as
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.selectors import webhooks
from notifications.services import webhook_endpoints, webhook_replays
from notifications.services.webhook_deliveries import readable_payload
from notifications.states import FINISHED, AttemptOutcome, DeliveryStatus

SHOWN = 20
_LONGEST_ANSWER = 200
_TONES = {
    DeliveryStatus.PENDING: "warning",
    DeliveryStatus.SENDING: "info",
    DeliveryStatus.SUCCEEDED: "success",
    DeliveryStatus.FAILED: "danger",
    DeliveryStatus.SKIPPED: "neutral",
}


class RecoverForm(CommandForm):
    days = forms.IntegerField(
        min_value=1,
        max_value=30,
        initial=1,
        widget=UnfoldAdminIntegerFieldWidget(),
        help_text="What was made in so many days, and failed or was skipped, is sent again.",
    )


def _is_live(endpoint: WebhookEndpoint) -> bool:
    return endpoint.is_enabled and endpoint.deleted_at is None


def _since(call: Call[WebhookEndpoint]) -> Any:
    return call.now - timedelta(days=call.data["days"])


def _tested(delivery: WebhookDelivery) -> Outcome:
    if delivery.status == DeliveryStatus.SUCCEEDED:
        return Outcome(f"The endpoint answered {delivery.last_status_code}.")
    answered = f"it answered {delivery.last_status_code}" if delivery.last_status_code else delivery.last_outcome
    return Outcome(f"The test failed: {str(answered).replace('_', ' ')}.", "error")


ENABLE: CommandAction[WebhookEndpoint] = CommandAction(
    "enable",
    "Enable",
    "notifications.webhook_endpoint.manage",
    lambda call: webhook_endpoints.enable(actor=call.actor, endpoint=call.obj, now=call.now),
    is_offered=lambda endpoint: not endpoint.is_enabled and endpoint.deleted_at is None,
    preview=lambda call: (Effect("State", "disabled", "enabled"),),
    text="Sends events from now on. What was missed meanwhile is sent by the command Send what was missed.",
    done="The endpoint is enabled.",
    icon="play_arrow",
)
DISABLE: CommandAction[WebhookEndpoint] = CommandAction(
    "disable",
    "Disable",
    "notifications.webhook_endpoint.manage",
    lambda call: webhook_endpoints.disable(actor=call.actor, endpoint=call.obj, now=call.now),
    is_offered=_is_live,
    preview=lambda call: (Effect("State", "enabled", "disabled"),),
    text="Sends nothing any more. What falls due meanwhile is skipped, and can be sent later.",
    done="The endpoint is disabled.",
    icon="pause",
    is_dangerous=True,
)
SEND_TEST: CommandAction[WebhookEndpoint] = CommandAction(
    "send-test",
    "Send a test",
    "notifications.webhook_endpoint.manage",
    lambda call: webhook_replays.send_test(actor=call.actor, endpoint=call.obj, operation_key=call.key, now=call.now),
    is_offered=lambda endpoint: endpoint.deleted_at is None,
    preview=lambda call: (Effect("A test event goes to", "", call.obj.shown_url),),
    text="Sends a test event now and waits for the answer, ten seconds at most.",
    icon="science",
    outcome=_tested,
)
RECOVER: CommandAction[WebhookEndpoint] = CommandAction(
    "recover",
    "Send what was missed",
    "notifications.webhook_delivery.replay",
    lambda call: webhook_replays.recover(actor=call.actor, endpoint=call.obj, since=_since(call), now=call.now),
    is_offered=_is_live,
    preview=lambda call: (Effect("Deliveries", "", webhooks.recoverable(call.obj, _since(call), call.now).count()),),
    form=RecoverForm,
    text="Queues what failed for good or was skipped, in its order.",
    done="What was missed is being sent.",
    icon="replay",
)
REPLAY: CommandAction[WebhookDelivery] = CommandAction(
    "replay",
    "Send again",
    "notifications.webhook_delivery.replay",
    lambda call: webhook_replays.replay(actor=call.actor, delivery=call.obj, now=call.now),
    is_offered=lambda delivery: delivery.status in FINISHED and _is_live(delivery.endpoint),
    preview=lambda call: (Effect("Status", call.obj.status, DeliveryStatus.PENDING),),
    text="Sends it with all its attempts, under the same webhook-id.",
    done="It is on its way.",
    icon="replay",
)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(EntityAdmin):
    list_display = ("address", "of_organization", "standing", "wanted", "identifier", "created")
    list_filter = ("is_enabled", "disabled_reason")
    search_help_text = "Id of the endpoint"
    related = ("organization",)
    commands = (SEND_TEST, RECOVER, DISABLE, ENABLE)
    facts = (
        "address", "of_organization", "description", "wanted", "disabled_reason", "disabled_at", "failing_since",
        "paused_until", "deleted_at", "created_at",
    )  # fmt: skip
    empty = Empty("No webhook endpoints yet", "Organisations set them up by the API.", icon="webhook")

    @display(description="Address")
    def address(self, obj: WebhookEndpoint) -> str:
        return obj.shown_url

    @display(description="Organisation")
    @exports_as(Kind.LINK)
    def of_organization(self, obj: WebhookEndpoint) -> object:
        return link(obj.organization)

    @display(description="State")
    def standing(self, obj: WebhookEndpoint) -> object:
        if obj.deleted_at is not None:
            return state("removed", "neutral")
        if not obj.is_enabled:
            return state("disabled", "danger")
        return state("failing", "warning") if obj.failing_since is not None else state("enabled")

    @display(description="Events")
    def wanted(self, obj: WebhookEndpoint) -> str:
        return ", ".join(obj.event_types)

    def get_states(self, obj: WebhookEndpoint) -> Iterable[object]:
        return [self.standing(obj)]

    def get_figures(self, request: HttpRequest, obj: WebhookEndpoint) -> Sequence[Figure]:
        def count(*statuses: str) -> int:
            return obj.deliveries.filter(status__in=statuses).count()

        failed = count(DeliveryStatus.FAILED)
        return [
            Figure("On their way", count(DeliveryStatus.PENDING, DeliveryStatus.SENDING)),
            Figure("Failed", failed, tone="danger" if failed else ""),
            Figure("Skipped", count(DeliveryStatus.SKIPPED)),
        ]

    def get_sections(self, request: HttpRequest, obj: WebhookEndpoint) -> Sequence[Section]:
        rows = [
            (one.event_type, _status(one), _answer(one), moment(one.created_at), id_link(one))
            for one in obj.deliveries.order_by("-id")[:SHOWN]
        ]
        return [
            Section(
                "Deliveries",
                ("Event", "Status", "Answer", "Made", "Id"),
                rows,
                list_url(WebhookDelivery, f"endpoint__id__exact={obj.pk}"),
                "Nothing was sent yet.",
                "outbox",
            )
        ]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(EntityAdmin):
    list_display = ("event_type", "standing", "answer", "to", "attempts_made", "identifier", "created")
    list_filter = ("status", "last_outcome")
    search_help_text = "Id of the delivery"
    related = ("endpoint", "organization")
    commands = (REPLAY,)
    facts = (
        "event_type", "event", "to", "of_organization", "test", "attempts_made", "next_attempt_at",
        "answer", "created_at", "finished_at",
    )  # fmt: skip
    empty = Empty("Nothing was sent yet", "Events go out once an organisation has an endpoint.", icon="outbox")

    @display(description="Status")
    def standing(self, obj: WebhookDelivery) -> object:
        return _status(obj)

    @display(description="Answer")
    def answer(self, obj: WebhookDelivery) -> object:
        return _answer(obj)

    @display(description="To")
    @exports_as(Kind.LINK)
    def to(self, obj: WebhookDelivery) -> object:
        return link(obj.endpoint)

    @display(description="Webhook-id")
    def event(self, obj: WebhookDelivery) -> object:
        return obj.payload.get("id", NOTHING)

    @display(description="Organisation")
    @exports_as(Kind.LINK)
    def of_organization(self, obj: WebhookDelivery) -> object:
        return link(obj.organization)

    @display(description="Sent to try it")
    def test(self, obj: WebhookDelivery) -> str:
        return "yes" if obj.is_test else NOTHING

    def get_title(self, obj: WebhookDelivery) -> object:
        return obj.event_type

    def get_states(self, obj: WebhookDelivery) -> Iterable[object]:
        return [_status(obj)]

    def get_sections(self, request: HttpRequest, obj: WebhookDelivery) -> Sequence[Section]:
        attempts = [
            (
                one.number,
                moment(one.started_at),
                state(AttemptOutcome(one.outcome).name.lower(), "success" if one.outcome == "delivered" else "danger"),
                one.status_code or NOTHING,
                f"{one.duration_ms} ms",
                one.response_body[:_LONGEST_ANSWER] or one.error or NOTHING,
            )
            for one in obj.attempt_rows.all()[:SHOWN]
        ]
        payload = json.dumps(readable_payload(obj.payload), indent=2, ensure_ascii=False)
        return [
            Section(
                "Attempts",
                ("No.", "Sent", "Outcome", "Answer", "Took", "It said"),
                attempts,
                empty="Not sent yet.",
                icon="send",
            ),
            Section("What is sent", ("Body",), [(format_html("<pre>{}</pre>", payload),)], icon="data_object"),
        ]


def _status(delivery: WebhookDelivery) -> object:
    return state(delivery.status, _TONES[DeliveryStatus(delivery.status)])


def _answer(delivery: WebhookDelivery) -> object:
    return delivery.last_status_code or delivery.last_outcome.replace("_", " ") or NOTHING
