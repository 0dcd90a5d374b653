"""What can be found in billing. Every kind is built with a constant number of queries.

Who pays is named on subscriptions, invoices and payments, so these follow a change of the customer's name too. What no
event speaks of is not found: a payment in the moment in which the provider is asked, and a draft invoice, which no
command leaves behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Model

from audit.models import Event
from billing import events, permissions
from billing.models import Customer, Invoice, Payment, PaymentMethod, Product, Subscription, SubscriptionItem
from billing.money_states import InvoiceStatus, TransferStatus
from search.documents import Document, DocumentType, in_key_order, register

_DRAFT = InvoiceStatus.DRAFT.value
_UNDER_WAY = TransferStatus.PROCESSING.value


# --- customers and products ---


def _customers(ids: Sequence[UUID]) -> Iterator[Document]:
    for customer in Customer.objects.filter(pk__in=ids):
        yield Document(
            id=customer.pk,
            title=customer.name,
            subtitle=customer.email,
            body=f"Customer {customer.name}, billed in {customer.currency}.",
            keys=_given(customer.public_id, customer.email, customer.external_id),
            facets=_facets(currency=customer.currency, source=customer.source),
            organization_id=customer.organization_id,
            version=customer.version,
            url=f"/api/v1/customers/{customer.public_id}",
        )


def _products(ids: Sequence[UUID]) -> Iterator[Document]:
    """What is on offer everybody signed in finds; what is not sold any more, staff."""
    for product in Product.objects.filter(pk__in=ids):
        yield Document(
            id=product.pk,
            title=product.name,
            body=product.description,
            keys=(product.public_id,),
            facets={"status": "active" if product.is_active else "inactive"},
            organization_id=None,
            is_public=product.is_active,
            version=product.version,
            url=f"/api/v1/products/{product.public_id}",
        )


# --- what customers have ---


def _subscriptions(ids: Sequence[UUID]) -> Iterator[Document]:
    rows = Subscription.objects.filter(pk__in=ids).select_related("customer")
    items: dict[UUID, list[SubscriptionItem]] = {}
    for item in SubscriptionItem.objects.filter(subscription_id__in=ids).select_related("price__product"):
        items.setdefault(item.subscription_id, []).append(item)
    for subscription in rows:
        customer, prices = subscription.customer, [item.price for item in items.get(subscription.pk, ())]
        products = ", ".join(dict.fromkeys(price.product.name for price in prices))
        amounts = ", ".join(str(price) for price in prices)
        status = _in_words(subscription.status)
        yield Document(
            id=subscription.pk,
            title=f"{products or 'Subscription'} for {customer.name}",
            subtitle=" · ".join(part for part in (amounts, status) if part),
            body=f"Subscription of {customer.name} to {products or 'nothing'} ({amounts}): {status}, access "
            f"{subscription.access}, since {subscription.started_at.date().isoformat()}.",
            keys=_given(subscription.public_id, subscription.external_id),
            facets=_facets(status=subscription.status, currency=subscription.currency),
            organization_id=customer.organization_id,
            version=subscription.version,
            url=f"/api/v1/subscriptions/{subscription.public_id}",
        )


def _invoices(ids: Sequence[UUID]) -> Iterator[Document]:
    for invoice in Invoice.objects.filter(pk__in=ids).exclude(status=_DRAFT).select_related("customer"):
        customer, status = invoice.customer, _in_words(invoice.status)
        due = f", due on {invoice.due_at.date().isoformat()}" if invoice.due_at else ""
        yield Document(
            id=invoice.pk,
            title=f"Invoice {invoice}",
            subtitle=f"{invoice.total.format()} · {customer.name}",
            body=f"Invoice {invoice} for {customer.name} over {invoice.total.format()}: {status}{due}.",
            keys=_given(invoice.public_id, invoice.number),
            facets=_facets(status=invoice.status, currency=invoice.currency),
            organization_id=customer.organization_id,
            version=invoice.version,
            url=f"/api/v1/invoices/{invoice.public_id}",
        )


def _payments(ids: Sequence[UUID]) -> Iterator[Document]:
    rows = Payment.objects.filter(pk__in=ids).exclude(status=_UNDER_WAY).select_related("customer")
    for payment in rows:
        customer, amount, status = payment.customer, payment.money.format(), _in_words(payment.status)
        yield Document(
            id=payment.pk,
            title=f"Payment of {amount}",
            subtitle=f"{customer.name} · {status}",
            body=f"Payment of {amount} by {customer.name}: {status}"
            + (f" ({_in_words(payment.failure_code)})." if payment.failure_code else "."),
            keys=_given(payment.public_id, payment.provider_reference),
            facets=_facets(status=payment.status, currency=payment.currency),
            organization_id=customer.organization_id,
            version=payment.version,
            url=f"/api/v1/payments/{payment.public_id}",
        )


# --- what an event changes beside its own subject ---


def _of_customers(model: type[Model]) -> Any:
    """Return what says which rows of `model` the events touch: their subjects, and all rows of a renamed customer."""
    own = f"billing.{model._meta.model_name}."

    def ids_of(found: Sequence[Event]) -> Iterable[UUID]:
        renamed = {
            event.subject_id
            for event in found
            if event.type == events.CUSTOMER_UPDATED.name and "name" in (event.after or {})
        }
        subjects = [event.subject_id for event in found if event.type.startswith(own)]
        if not renamed:
            return subjects
        rows = model._base_manager.filter(customer_id__in=renamed)
        return [*subjects, *rows.values_list("pk", flat=True).iterator(chunk_size=2000)]

    return ids_of


def _customers_of(found: Sequence[Event]) -> Iterable[UUID]:
    """The customers themselves, and those whose means of payment changed: their default may have, and their version."""
    methods = [event.subject_id for event in found if event.type.startswith("billing.payment_method.")]
    subjects = [event.subject_id for event in found if event.type.startswith("billing.customer.")]
    if not methods:
        return subjects
    return [*subjects, *PaymentMethod.objects.filter(pk__in=methods).values_list("customer_id", flat=True)]


def _of_products_too(found: Sequence[Event]) -> Iterable[UUID]:
    """As the others, and all subscriptions to a renamed product."""
    renamed = {
        event.subject_id
        for event in found
        if event.type == events.PRODUCT_UPDATED.name and "name" in (event.after or {})
    }
    yield from _of_customers(Subscription)(found)
    if renamed:
        rows = SubscriptionItem.objects.filter(price__product_id__in=renamed)
        yield from rows.values_list("subscription_id", flat=True).iterator(chunk_size=2000)


# --- words ---


def _in_words(code: str) -> str:
    return code.replace("_", " ")


def _given(*keys: str | None) -> tuple[str, ...]:
    return tuple(key for key in keys if key)


def _facets(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


register(
    DocumentType(
        name="customer",
        label="Customers",
        icon="groups",
        permission=permissions.CUSTOMER_VIEW.name,
        model=Customer,
        events=("billing.customer.", "billing.payment_method."),
        ids_of=_customers_of,
        build=_customers,
        ids=in_key_order(Customer),
        order=10,
    )
)
register(
    DocumentType(
        name="subscription",
        label="Subscriptions",
        icon="autorenew",
        permission=permissions.SUBSCRIPTION_VIEW.name,
        model=Subscription,
        events=("billing.subscription.", events.CUSTOMER_UPDATED.name, events.PRODUCT_UPDATED.name),
        ids_of=_of_products_too,
        build=_subscriptions,
        ids=in_key_order(Subscription),
        order=20,
    )
)
register(
    DocumentType(
        name="invoice",
        label="Invoices",
        icon="receipt_long",
        permission=permissions.INVOICE_VIEW.name,
        model=Invoice,
        events=("billing.invoice.", events.CUSTOMER_UPDATED.name),
        ids_of=_of_customers(Invoice),
        build=_invoices,
        ids=in_key_order(Invoice),
        order=30,
    )
)
register(
    DocumentType(
        name="payment",
        label="Payments",
        icon="payments",
        permission=permissions.PAYMENT_VIEW.name,
        model=Payment,
        events=("billing.payment.", events.CUSTOMER_UPDATED.name),
        ids_of=_of_customers(Payment),
        build=_payments,
        ids=in_key_order(Payment),
        order=40,
    )
)
register(
    DocumentType(
        name="product",
        label="Products",
        icon="inventory_2",
        permission=permissions.PRODUCT_MANAGE.name,
        model=Product,
        events=("billing.product.",),
        build=_products,
        ids=in_key_order(Product),
        order=45,
    )
)
