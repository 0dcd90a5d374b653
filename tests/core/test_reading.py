"""Rows read by `core.reading` are those that Django reads, by the same statements."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import Count, Model, Prefetch, QuerySet
from django.test.utils import CaptureQueriesContext

from billing.models import Price, Product, Subscription
from billing.models.subscriptions import WITH_ITEMS
from core.api.viewsets import EntityViewSet
from core.models import Job
from core.reading import _text_of, read
from tests.billing import factories

pytestmark = pytest.mark.django_db


def viewsets(parent: type[Any] = EntityViewSet) -> list[type[Any]]:
    import project.urls  # noqa: F401  # imports every view

    found = [child for each in parent.__subclasses__() for child in viewsets(each)]
    return found or ([parent] if parent.queryset is not None else [])


def statements(run: Any) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        run()
    return [query["sql"].strip() for query in captured]


@pytest.mark.parametrize("viewset", viewsets(), ids=lambda viewset: viewset.__name__)
def test_asks_what_django_asks(viewset: type[EntityViewSet]) -> None:
    page = viewset.queryset.order_by(*viewset.ordering)[:21]
    assert statements(lambda: read(page.all())) == statements(lambda: list(page.all()))


def jobs(number: int = 5) -> QuerySet[Job]:
    Job.objects.bulk_create(
        Job(kind=f"k{index % 2}", priority=index, requested_by_type="user", payload={"index": index})
        for index in range(number)
    )
    return Job.objects.order_by("priority")


def plain(row: Model) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "_state"}


def test_fills_rows_as_django_does() -> None:
    ours, theirs = read(jobs()), list(Job.objects.order_by("priority"))
    assert [plain(row) for row in ours] == [plain(row) for row in theirs]
    assert ours == theirs
    assert all(row._state.db == "default" and not row._state.adding for row in ours)


def test_reads_rows_that_can_be_changed_and_saved() -> None:
    row = read(jobs())[0]
    row.kind = "other"
    row.save()
    assert Job.objects.get(pk=row.pk).kind == "other"


@pytest.mark.parametrize(
    "narrowed",
    [
        lambda rows: rows.filter(kind="k1"),
        lambda rows: rows.exclude(kind="k1", priority__lt=3),
        lambda rows: rows.filter(kind__in=["k0", "%s", "'; --"]),
        lambda rows: rows.filter(pk__in=[]),
        lambda rows: rows.none(),
        lambda rows: rows.only("kind"),
        lambda rows: rows.defer("payload"),
        lambda rows: rows[1:3],
        lambda rows: rows.reverse(),
        lambda rows: rows.order_by("-kind", "priority"),
        lambda rows: rows.annotate(number=Count("pk")),
        lambda rows: rows.distinct(),
        lambda rows: rows.filter(priority__gt=0) | rows.filter(kind="k0"),
        lambda rows: rows.extra(where=["priority > 1"]),
        lambda rows: rows.select_for_update(),
    ],
)
def test_takes_any_query_set(narrowed: Any) -> None:
    rows = narrowed(jobs())
    assert [plain(row) for row in read(rows.all())] == [plain(row) for row in rows.all()]


def test_leaves_to_django_what_it_does_not_know() -> None:
    for rows in (
        Job.objects.annotate(number=Count("pk")),
        Job.objects.distinct(),
        Job.objects.select_for_update(),
        Job.objects.values("kind"),
        Price.objects.select_related("product"),
        Price.objects.order_by("product__name"),
        Product(name="x").prices.all(),
    ):
        assert _text_of(rows) is None
    assert _text_of(Job.objects.filter(kind="x")) is not None


def test_reads_children_as_a_prefetch_does() -> None:
    factories.subscription(factories.customer(token=None), factories.price(), factories.price())
    theirs = Prefetch("items", WITH_ITEMS.queryset.all(), to_attr="loaded_items")
    (ours,), (expected,) = (read(Subscription.objects.prefetch_related(each)) for each in (WITH_ITEMS, theirs))
    assert [plain(item) for item in ours.loaded_items] == [plain(item) for item in expected.loaded_items]
    assert len(ours.loaded_items) == 2
    with CaptureQueriesContext(connection) as captured:
        assert all(item.subscription is ours for item in ours.loaded_items)
    assert not captured.captured_queries
