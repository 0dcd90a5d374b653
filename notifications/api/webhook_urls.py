"""The routes of webhooks, below `/api/v1/webhooks/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from notifications.api import webhook_views as views


def _endpoint(route: str, action: str) -> URLPattern:
    view = views.EndpointViewSet.as_view({"post": action})
    return path(f"endpoints/<str:id>/{route}", view, name=f"webhook-endpoint-{route}")


urlpatterns = [
    path("event-types", views.EventTypesView.as_view(), name="webhook-event-types"),
    path("endpoints", views.EndpointViewSet.as_view({"get": "list", "post": "create"}), name="webhook-endpoint-list"),
    path(
        "endpoints/<str:id>",
        views.EndpointViewSet.as_view({"get": "retrieve", "patch": "partial_update", "delete": "destroy"}),
        name="webhook-endpoint-detail",
    ),
    _endpoint("rotate-secret", "rotate_secret"),
    _endpoint("enable", "enable"),
    _endpoint("disable", "disable"),
    _endpoint("send-test", "send_test"),
    _endpoint("recover", "recover"),
    path("deliveries", views.DeliveryViewSet.as_view({"get": "list"}), name="webhook-delivery-list"),
    path("deliveries/<str:id>", views.DeliveryViewSet.as_view({"get": "retrieve"}), name="webhook-delivery-detail"),
    path(
        "deliveries/<str:id>/replay",
        views.DeliveryViewSet.as_view({"post": "replay"}),
        name="webhook-delivery-replay",
    ),
]
