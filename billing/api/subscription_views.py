"""Subscriptions. Their status changes by commands alone."""

from __future__ import annotations

from typing import Any

import django_filters

from billing.api import subscription_serializers as s
from billing.api.base import BillingViewSet
from billing.errors import (
    CurrencyMismatch,
    MixedIntervals,
    NothingToChange,
    PriceNotAvailable,
    ProrationNotAvailable,
    SeveralItems,
    TrialAlreadyUsed,
)
from billing.models import Customer, Price, Subscription
from billing.models.subscriptions import WITH_ITEMS
from billing.permissions import SUBSCRIPTION_VIEW
from billing.selectors.subscriptions import Preview
from billing.services import previews, subscribing, subscriptions
from billing.services.beginnings import Line
from billing.states import Access, Status
from core.api.filters import BooleanFilter, EntityFilterSet, PublicIdFilter
from core.api.requests import Request
from core.api.viewsets import command_action, operation
from core.errors import InvalidTransition

_ROW = s.SubscriptionSerializer


class SubscriptionFilters(EntityFilterSet):
    customer_id = PublicIdFilter(Customer)
    price_id = PublicIdFilter(Price, field_name="items__price_id")
    status = django_filters.MultipleChoiceFilter(choices=[(status.value, status.value) for status in Status])
    access = django_filters.ChoiceFilter(choices=[(access.value, access.value) for access in Access])
    cancel_at_period_end = BooleanFilter()
    external_id = django_filters.CharFilter(max_length=200)
    period_ends_before = django_filters.IsoDateTimeFilter(field_name="current_period_end", lookup_expr="lt")
    period_ends_after = django_filters.IsoDateTimeFilter(field_name="current_period_end", lookup_expr="gte")

    class Meta:
        model = Subscription
        fields: list[str] = []


class SubscriptionViewSet(BillingViewSet):
    tag = "subscriptions"
    queryset = Subscription.objects.prefetch_related(WITH_ITEMS)
    serializer_class = _ROW
    filterset_class = SubscriptionFilters
    view_permission = SUBSCRIPTION_VIEW.name

    @operation(
        request=s.SubscriptionInput,
        response=_ROW,
        status=201,
        idempotency="operation",
        is_key_required=True,
        errors=(CurrencyMismatch, MixedIntervals, PriceNotAvailable, TrialAlreadyUsed),
        summary="Subscribe, and pay the first invoice",
    )
    def create(self, request: Request) -> Subscription:
        """With a payment method the first invoice is charged at once; otherwise, or when that fails, the subscription
        is `incomplete` until its invoice is paid (`POST /payments`), for 24 hours."""
        data = self.input()
        lines = [Line(**item) for item in data.pop("items")]
        return subscribing.subscribe(
            actor=request.actor, lines=lines, operation_key=request.operation_key, now=request.now, **data
        )

    @command_action(
        detail=False,
        url_path="preview",
        request=s.PreviewInput,
        response=s.PreviewSerializer,
        errors=(CurrencyMismatch, MixedIntervals, PriceNotAvailable, TrialAlreadyUsed),
        summary="See what a subscription would cost",
    )
    def preview_new(self, request: Request) -> Preview:
        data = self.input()
        lines = [Line(**item) for item in data.pop("items")]
        return previews.new_subscription(actor=request.actor, lines=lines, now=request.now, **data)

    @command_action(
        request=s.ChangePreviewInput,
        response=s.PreviewSerializer,
        errors=(InvalidTransition, CurrencyMismatch, PriceNotAvailable, SeveralItems),
        summary="See the next invoice as another plan would make it",
    )
    def preview(self, request: Request, **kwargs: Any) -> Preview:
        return previews.plan_change(actor=request.actor, subscription=self.entity(), **self.input())

    @command_action(
        request=s.ChangePlanInput,
        response=_ROW,
        errors=(
            InvalidTransition,
            CurrencyMismatch,
            NothingToChange,
            PriceNotAvailable,
            ProrationNotAvailable,
            SeveralItems,
        ),
        summary="Change the plan from the next renewal on",
    )
    def change_plan(self, request: Request, **kwargs: Any) -> Subscription:
        return subscriptions.change_plan(
            actor=request.actor, subscription=self.entity(), now=request.now, **self.input()
        )

    @command_action(request=s.CancelInput, response=_ROW, errors=(InvalidTransition,), summary="Cancel")
    def cancel(self, request: Request, **kwargs: Any) -> Subscription:
        return subscriptions.cancel(actor=request.actor, subscription=self.entity(), now=request.now, **self.input())

    @command_action(
        request=s.EmptyInput, response=_ROW, errors=(InvalidTransition,), summary="Take a cancellation back"
    )
    def undo_cancel(self, request: Request, **kwargs: Any) -> Subscription:
        self.input()
        return subscriptions.undo_cancel(actor=request.actor, subscription=self.entity(), now=request.now)

    @command_action(request=s.ReasonInput, response=_ROW, errors=(InvalidTransition,), summary="Pause")
    def pause(self, request: Request, **kwargs: Any) -> Subscription:
        return subscriptions.pause(actor=request.actor, subscription=self.entity(), now=request.now, **self.input())

    @command_action(request=s.EmptyInput, response=_ROW, errors=(InvalidTransition,), summary="Resume")
    def resume(self, request: Request, **kwargs: Any) -> Subscription:
        self.input()
        return subscriptions.resume(actor=request.actor, subscription=self.entity(), now=request.now)

    @command_action(
        request=s.SuspendInput, response=_ROW, errors=(InvalidTransition,), summary="Suspend access (staff)"
    )
    def suspend(self, request: Request, **kwargs: Any) -> Subscription:
        return subscriptions.suspend(actor=request.actor, subscription=self.entity(), now=request.now, **self.input())

    @command_action(
        request=s.ReasonInput, response=_ROW, errors=(InvalidTransition,), summary="Grant access again (staff)"
    )
    def unsuspend(self, request: Request, **kwargs: Any) -> Subscription:
        return subscriptions.unsuspend(actor=request.actor, subscription=self.entity(), now=request.now, **self.input())

    @command_action(request=s.EmptyInput, response=_ROW, errors=(InvalidTransition,), summary="Reactivate")
    def reactivate(self, request: Request, **kwargs: Any) -> Subscription:
        """Only what was cancelled can be reactivated: a new period begins now and is billed. The subscription is
        `incomplete` until that is paid, for 24 hours; the customer's payment method is charged at once."""
        self.input()
        return subscriptions.reactivate(actor=request.actor, subscription=self.entity(), now=request.now)
