"""Views and admin actions that are guarded by the permission model alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.messages.storage.fallback import FallbackStorage
from django.db.models import QuerySet
from django.test import RequestFactory

from accounts import permissions
from accounts.actors import actor_of_user
from accounts.api.relations import HasRelation, RelatedRows
from accounts.models import Organization, User
from accounts.services import staff_groups
from billing.models import Invoice
from core.actor import ANONYMOUS, SYSTEM
from core.admin.permitted import permitted
from core.errors import NotFound, Unauthenticated
from tests.billing import factories

pytestmark = pytest.mark.django_db


class View:
    relation = "viewer"


def request_of(person: User | None) -> Any:
    request: Any = RequestFactory().get("/")
    request.actor = actor_of_user(person) if person else ANONYMOUS
    return request


@pytest.fixture
def invoice(organization: Organization) -> Invoice:
    return factories.invoice(factories.customer(organization=organization))


def test_lets_who_has_the_relation_to_the_row_and_nobody_else(
    invoice: Invoice, owner: User, stranger: User, staff: User
) -> None:
    guard = HasRelation()
    for person in (owner, staff):
        assert guard.has_permission(request_of(person), View())
        assert guard.has_object_permission(request_of(person), View(), invoice)
    with pytest.raises(NotFound):
        guard.has_object_permission(request_of(stranger), View(), invoice)
    with pytest.raises(Unauthenticated):
        guard.has_permission(request_of(None), View())


def test_lists_the_rows_to_which_one_has_the_relation(invoice: Invoice, owner: User, stranger: User) -> None:
    def listed(person: User | None) -> list[Invoice]:
        return list(RelatedRows().filter_queryset(request_of(person), Invoice.objects.all(), View()))

    assert listed(owner) == [invoice]
    assert listed(stranger) == listed(None) == []
    permissions.grant(f"user:{stranger.pk}", "viewer", f"invoice:{invoice.pk}")
    assert listed(stranger) == [invoice]
    permissions.revoke(f"user:{stranger.pk}", "viewer", f"invoice:{invoice.pk}")
    assert listed(stranger) == []


def test_runs_an_action_of_the_admin_on_what_is_permitted(invoice: Invoice, staff: User) -> None:
    seen: list[int] = []

    @permitted("billing.invoice.void")
    def close(model_admin: Any, request: Any, queryset: QuerySet[Invoice]) -> None:
        seen.append(queryset.count())

    def run(person: User) -> list[str]:
        request: Any = RequestFactory().post("/")
        request.user, request.session = person, {}
        request._messages = FallbackStorage(request)
        close(site.get_model_admin(Invoice), request, Invoice.objects.all())
        return [str(message) for message in request._messages]

    assert run(staff) == []
    assert seen == [1]
    group = staff_groups.save(actor=SYSTEM, name="Looks", permissions=["billing.invoice.view"])
    staff.is_superuser = False
    staff.save()
    staff.groups.add(group)
    assert run(User.objects.get(pk=staff.pk)) == ["1 of 1 left out: they need the permission 'billing.invoice.void'."]
    assert seen == [1]


def test_asks_and_explains_by_one_module(organization: Organization, owner: User, stranger: User) -> None:
    place = f"organization:{organization.pk}"
    assert permissions.check(f"user:{owner.pk}", "billing.invoice.view", place)
    assert permissions.check_many([(f"user:{stranger.pk}", "viewer", place)]) == [False]
    assert permissions.list_objects(f"user:{owner.pk}", "owner", "organization") == (place,)
    assert permissions.list_users(place, "viewer", "user") == [f"user:{owner.pk}"]
    assert permissions.explain(f"user:{owner.pk}", "billing.invoice.view", place).is_allowed
    assert permissions.expand(place, "owner").as_json()


def test_answers_over_http_as_the_product_itself_decides(
    invoice: Invoice, owner: User, stranger: User, staff: User, api: Any
) -> None:
    """To which organisation a row belongs, and to which groups staff do, is brought along."""
    target = f"invoice:{invoice.pk}"
    for person, expected in ((owner, True), (stranger, False)):
        asked = {"relation": "viewer", "object": target}
        assert api(person).post("/api/v1/permissions/check", asked).json() == {"allowed": expected}
        many = api(person).post("/api/v1/permissions/batch-check", {"checks": [asked, asked]}).json()
        assert many == {"results": [{"allowed": expected}] * 2}
    asked = {"user": f"user:{staff.pk}", "relation": "billing.invoice.void", "object": "company:this"}
    assert api(staff).post("/api/v1/permissions/check", asked).json() == {"allowed": True}
    del asked["user"]
    assert api(owner).post("/api/v1/permissions/check", asked).json() == {"allowed": False}
    why = {"user": f"user:{owner.pk}", "relation": "viewer", "object": target}
    assert api(staff).post("/api/v1/permissions/explain", why).json()["allowed"] is True
