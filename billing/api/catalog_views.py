"""Products and prices: staff write, everyone signed in sees what is on offer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import django_filters

from billing.api import catalog_serializers as s
from billing.errors import PriceInUse
from billing.models import Interval, Price, Product
from billing.selectors import catalog
from billing.services import prices, products
from core import cache
from core.api.filters import BooleanFilter, EntityFilterSet, PublicIdFilter
from core.api.replies import Reply
from core.api.requests import Request
from core.api.viewsets import EntityViewSet, operation
from core.money import Money, currencies


class CatalogViewSet(EntityViewSet):
    """Lists are remembered, apart for staff and for everybody else, until a product or price changes."""

    tag = "catalogue"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Reply:
        viewer = "staff" if request.actor.is_staff or request.actor.is_system else "signed in"
        query = urlencode(sorted((name, value) for name, values in request.GET.lists() for value in values))
        key = f"{request._request.get_host()}{request._request.path}?{query}"

        def produce() -> Any:
            return super(CatalogViewSet, self).list(request, *args, **kwargs).data

        return Reply(cache.remember("catalogue_list", key, produce, viewer=viewer))


class ProductFilters(EntityFilterSet):
    is_active = BooleanFilter()

    class Meta:
        model = Product
        fields: list[str] = []


class ProductViewSet(CatalogViewSet):
    queryset = Product.objects.all()
    serializer_class = s.ProductSerializer
    filterset_class = ProductFilters

    def get_queryset(self) -> Any:
        return catalog.products(self.request.actor)

    @operation(request=s.ProductInput, response=s.ProductSerializer, status=201, summary="Create a product (staff)")
    def create(self, request: Request) -> Product:
        return products.create(actor=request.actor, **self.input())

    @operation(request=s.ProductChange, response=s.ProductSerializer, summary="Change a product (staff)")
    def partial_update(self, request: Request, **kwargs: Any) -> Product:
        return products.update(actor=request.actor, product=self.entity(), changes=self.input())


class PriceFilters(EntityFilterSet):
    product_id = PublicIdFilter(Product)
    currency = django_filters.ChoiceFilter(choices=[(code, code) for code in currencies()])
    interval = django_filters.ChoiceFilter(choices=Interval.choices)
    lookup_key = django_filters.CharFilter(max_length=200)
    is_listed = BooleanFilter()
    is_active = BooleanFilter()

    class Meta:
        model = Price
        fields: list[str] = []


class PriceViewSet(CatalogViewSet):
    queryset = Price.objects.all()
    serializer_class = s.PriceSerializer
    filterset_class = PriceFilters

    def get_queryset(self) -> Any:
        return catalog.prices(self.request.actor)

    @operation(request=s.PriceInput, response=s.PriceSerializer, status=201, summary="Create a price (staff)")
    def create(self, request: Request) -> Price:
        data = self.input()
        money = Money(data.pop("amount_minor"), data.pop("currency"))
        return prices.create(actor=request.actor, money=money, **data)

    @operation(
        request=s.PriceChange, response=s.PriceSerializer, errors=(PriceInUse,), summary="Change a price (staff)"
    )
    def partial_update(self, request: Request, **kwargs: Any) -> Price:
        return prices.update(actor=request.actor, price=self.entity(), changes=self.input())
