"""The business figures, for staff."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.models import BillingEntity
from billing.permissions import METRICS_VIEW
from billing.selectors import metrics
from core.access import require
from core.api.fields import CurrencyField, PublicIdRelatedField
from core.api.operations import operation
from core.api.requests import Request
from core.api.views import APIView


class MoneySerializer(serializers.Serializer[Any]):
    amount_minor = serializers.IntegerField()
    currency = CurrencyField()


class ChurnSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    at_start = serializers.IntegerField()
    ended = serializers.IntegerField()
    rate = serializers.CharField(allow_null=True, help_text="Ended by at start, six decimals; null when none ran.")


class MetricsSerializer(serializers.Serializer[Any]):
    """Recurring revenue is exact per currency, rounded once. `new_subscriptions`, `churn` and `failed_payments` look
    back 30 days."""

    as_of = serializers.DateTimeField()
    monthly_recurring_revenue = MoneySerializer(many=True)
    subscriptions_by_status = serializers.DictField(child=serializers.IntegerField())
    active_subscriptions = serializers.IntegerField(help_text="Active or past due.")
    active_customers = serializers.IntegerField()
    new_subscriptions = serializers.IntegerField()
    churn = ChurnSerializer()
    failed_payments = serializers.IntegerField()


class MetricsQuery(serializers.Serializer[Any]):
    billing_entity_id = PublicIdRelatedField(BillingEntity.objects.all(), required=False, help_text="Default: all.")


class MetricsView(APIView):
    tag = "metrics"

    @operation(query=MetricsQuery, response=MetricsSerializer, summary="The business figures (staff)")
    def get(self, request: Request) -> dict[str, Any]:
        require(request.actor, METRICS_VIEW.name)
        entity = self.query().get("billing_entity_id")
        found = metrics.metrics(now=request.now, billing_entity_id=entity.pk if entity is not None else None)
        churn = found.churn
        return {
            "as_of": found.as_of,
            "monthly_recurring_revenue": [
                {"amount_minor": money.minor, "currency": money.currency} for money in found.monthly_recurring_revenue
            ],
            "subscriptions_by_status": found.subscriptions_by_status,
            "active_subscriptions": found.active_subscriptions,
            "active_customers": found.active_customers,
            "new_subscriptions": found.new_subscriptions,
            "churn": {
                "since": churn.since,
                "at_start": churn.at_start,
                "ended": churn.ended,
                "rate": metrics.decimal_text(churn.rate),
            },
            "failed_payments": found.failed_payments,
        }
