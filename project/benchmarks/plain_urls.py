"""The addresses of the plain side: subscriptions, as a model viewset of Django REST framework."""

from __future__ import annotations

from typing import Any

from django.db.backends.signals import connection_created
from rest_framework import serializers, viewsets
from rest_framework.pagination import CursorPagination
from rest_framework.routers import SimpleRouter

from billing.models import Subscription, SubscriptionItem

# The product times each query; the plain side must not pay for it.
connection_created.disconnect(dispatch_uid="core.telemetry.queries")


class NewestFirst(CursorPagination):
    ordering = "-id"


class ItemSerializer(serializers.ModelSerializer[SubscriptionItem]):
    class Meta:
        model = SubscriptionItem
        fields = ("id", "price", "quantity")


class SubscriptionSerializer(serializers.ModelSerializer[Subscription]):
    """The same facts as ours shows."""

    items = ItemSerializer(many=True)

    class Meta:
        model = Subscription
        fields = "__all__"


class SubscriptionViewSet(viewsets.ReadOnlyModelViewSet[Subscription]):
    queryset = Subscription.objects.prefetch_related("items")
    serializer_class = SubscriptionSerializer
    pagination_class: Any = NewestFirst


router = SimpleRouter()
router.register("subscriptions", SubscriptionViewSet)
urlpatterns = router.urls
