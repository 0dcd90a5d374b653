"""The routes of billing, below `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path

from billing.api import catalog_views, customer_views, entity_views, metrics_views, money_views, subscription_views

_LIST_CREATE: dict[str, Any] = {"get": "list", "post": "create"}
_DETAIL: dict[str, Any] = {"get": "retrieve", "patch": "partial_update"}
_METHODS = "customers/<str:customer_id>/payment-methods"


def _subscription(route: str, action: str, name: str) -> URLPattern:
    return path(f"subscriptions/{route}", subscription_views.SubscriptionViewSet.as_view({"post": action}), name=name)


urlpatterns = [
    path("products", catalog_views.ProductViewSet.as_view(_LIST_CREATE), name="product-list"),
    path("products/<str:id>", catalog_views.ProductViewSet.as_view(_DETAIL), name="product-detail"),
    path("prices", catalog_views.PriceViewSet.as_view(_LIST_CREATE), name="price-list"),
    path("prices/<str:id>", catalog_views.PriceViewSet.as_view(_DETAIL), name="price-detail"),
    path("billing-entities", entity_views.BillingEntityViewSet.as_view(_LIST_CREATE), name="billing-entity-list"),
    path(
        "billing-entities/<str:id>",
        entity_views.BillingEntityViewSet.as_view({"get": "retrieve"}),
        name="billing-entity-detail",
    ),
    path("customers", customer_views.CustomerViewSet.as_view(_LIST_CREATE), name="customer-list"),
    path("customers/<str:id>", customer_views.CustomerViewSet.as_view(_DETAIL), name="customer-detail"),
    path(_METHODS, customer_views.PaymentMethodViewSet.as_view(_LIST_CREATE), name="payment-method-list"),
    path(
        f"{_METHODS}/<str:id>",
        customer_views.PaymentMethodViewSet.as_view({"get": "retrieve"}),
        name="payment-method-detail",
    ),
    path(
        f"{_METHODS}/<str:id>/detach",
        customer_views.PaymentMethodViewSet.as_view({"post": "detach"}),
        name="payment-method-detach",
    ),
    path("subscriptions", subscription_views.SubscriptionViewSet.as_view(_LIST_CREATE), name="subscription-list"),
    _subscription("preview", "preview_new", "subscription-preview-new"),
    path(
        "subscriptions/<str:id>",
        subscription_views.SubscriptionViewSet.as_view({"get": "retrieve"}),
        name="subscription-detail",
    ),
    *(
        _subscription(f"<str:id>/{verb.replace('_', '-')}", verb, f"subscription-{verb.replace('_', '-')}")
        for verb in (
            "preview",
            "change_plan",
            "cancel",
            "undo_cancel",
            "pause",
            "resume",
            "suspend",
            "unsuspend",
            "reactivate",
        )
    ),
    path("invoices", money_views.InvoiceViewSet.as_view({"get": "list"}), name="invoice-list"),
    path("invoices/<str:id>", money_views.InvoiceViewSet.as_view({"get": "retrieve"}), name="invoice-detail"),
    *(
        path(
            f"invoices/<str:id>/{verb.replace('_', '-')}",
            money_views.InvoiceViewSet.as_view({"post": verb}),
            name=f"invoice-{verb.replace('_', '-')}",
        )
        for verb in ("pay", "void", "mark_uncollectible", "finalize")
    ),
    path("payments", money_views.PaymentViewSet.as_view(_LIST_CREATE), name="payment-list"),
    path("payments/<str:id>", money_views.PaymentViewSet.as_view({"get": "retrieve"}), name="payment-detail"),
    path("refunds", money_views.RefundViewSet.as_view(_LIST_CREATE), name="refund-list"),
    path("refunds/<str:id>", money_views.RefundViewSet.as_view({"get": "retrieve"}), name="refund-detail"),
    path("billing/metrics", metrics_views.MetricsView.as_view(), name="billing-metrics"),
]
