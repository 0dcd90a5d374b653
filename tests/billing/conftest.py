"""What the tests of billing share."""

from __future__ import annotations

import pytest

from accounts.models import Organization
from billing.models import BillingEntity, Customer, Price, Product
from tests.billing import factories


@pytest.fixture
def billing_entity(db: None) -> BillingEntity:
    return factories.entity(invoice_prefix="INV")


@pytest.fixture
def customer(organization: Organization, billing_entity: BillingEntity) -> Customer:
    """A customer of the owner's organisation, with a payment method that works."""
    return factories.customer(organization=organization, billing_entity=billing_entity)


@pytest.fixture
def product(db: None) -> Product:
    return Product.objects.create(name="Team plan")


@pytest.fixture
def price(product: Product) -> Price:
    return factories.price(amount_minor=2985, product=product)


@pytest.fixture
def dearer(product: Product) -> Price:
    return factories.price(amount_minor=9900, product=product)
