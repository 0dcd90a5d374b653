"""Customers and their payment methods."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.db.models.functions import Lower

from accounts.models import Organization
from billing.api import customer_serializers as s
from billing.api.base import BillingViewSet
from billing.errors import CurrencyFixed
from billing.models import BillingEntity, Customer, PaymentMethod
from billing.permissions import CUSTOMER_VIEW, PAYMENT_METHOD_VIEW
from billing.selectors.catalog import sole_billing_entity
from billing.selectors.customers import search
from billing.services import customers
from core import context, ids
from core.access import visible
from core.api.filters import BooleanFilter, EntityFilterSet, PublicIdFilter
from core.api.requests import Request
from core.api.viewsets import command_action, operation
from core.errors import InvalidInput, NotFound


class CustomerFilters(EntityFilterSet):
    organization_id = PublicIdFilter(Organization)
    billing_entity_id = PublicIdFilter(BillingEntity)
    source = django_filters.CharFilter(max_length=100)
    external_id = django_filters.CharFilter(max_length=200)
    email = django_filters.CharFilter(method="by_email", max_length=254, label="The whole address, in any case.")
    search = django_filters.CharFilter(
        method="by_search", max_length=200, label="Beginning of name, e-mail or external id; or a customer's id."
    )

    class Meta:
        model = Customer
        fields: list[str] = []

    def by_email(self, rows: QuerySet[Customer], name: str, value: str) -> QuerySet[Customer]:
        return rows.alias(email_lower=Lower("email")).filter(email_lower=value.lower())

    def by_search(self, rows: QuerySet[Customer], name: str, value: str) -> QuerySet[Customer]:
        return search(rows, value)


class CustomerViewSet(BillingViewSet):
    tag = "customers"
    queryset = Customer.objects.all()
    serializer_class = s.CustomerSerializer
    filterset_class = CustomerFilters
    view_permission = CUSTOMER_VIEW.name

    @operation(request=s.CustomerInput, response=s.CustomerSerializer, status=201, summary="Create a customer")
    def create(self, request: Request) -> Customer:
        """It belongs to the organisation in which you act; only staff make one that belongs to none."""
        data = self.input()
        entity = data.pop("billing_entity", None) or sole_billing_entity()
        if entity is None:
            raise InvalidInput.at("/billing_entity_id", "There is no billing entity yet.", "required")
        organization = data.pop("organization", None) or self._own()
        return customers.create(actor=request.actor, organization=organization, billing_entity=entity, **data)

    def _own(self) -> Organization | None:
        own = context.current().organization_id
        return Organization.objects.filter(pk=own).first() if own is not None else None

    @operation(
        request=s.CustomerChange, response=s.CustomerSerializer, errors=(CurrencyFixed,), summary="Change a customer"
    )
    def partial_update(self, request: Request, **kwargs: Any) -> Customer:
        return customers.update(actor=request.actor, customer=self.entity(), changes=self.input())


class PaymentMethodFilters(EntityFilterSet):
    is_detached = BooleanFilter(field_name="detached_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = PaymentMethod
        fields: list[str] = []


class PaymentMethodViewSet(BillingViewSet):
    """Means of payment, below their customer."""

    tag = "customers"
    queryset = PaymentMethod.objects.select_related("customer")
    serializer_class = s.PaymentMethodSerializer
    filterset_class = PaymentMethodFilters
    view_permission = PAYMENT_METHOD_VIEW.name

    @property
    def customer(self) -> Customer:
        """The customer of the address. Raises `NotFound` for one that may not be seen."""
        try:
            key = ids.decode(Customer.id_prefix, self.kwargs["customer_id"])
            return visible(self.request.actor, Customer.objects.all()).get(pk=key)
        except (ids.MalformedId, Customer.DoesNotExist):
            raise NotFound("There is no such customer, or you may not see it.") from None

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(customer=self.customer)

    @operation(
        request=s.PaymentMethodInput, response=s.PaymentMethodSerializer, status=201, summary="Add a payment method"
    )
    def create(self, request: Request, **kwargs: Any) -> PaymentMethod:
        data = self.input()
        return customers.add_payment_method(
            actor=request.actor, customer=self.customer, provider_reference=data.pop("token"), **data
        )

    @command_action(response=s.PaymentMethodSerializer, summary="Take a payment method out of use")
    def detach(self, request: Request, **kwargs: Any) -> PaymentMethod:
        return customers.detach_payment_method(actor=request.actor, payment_method=self.entity(), now=request.now)
