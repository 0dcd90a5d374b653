"""Who may do what: the one question, answered by roles."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from accounts.actors import actor_of_user
from accounts.models import ApiKey, Membership, Organization, Session, User
from accounts.permissions import asking
from accounts.permissions.engine import save_model
from accounts.permissions.language import combine
from accounts.permissions.language.modules import MANIFEST, files_of
from accounts.permissions.models import PermissionStore
from accounts.permissions.product import STORE
from accounts.services import memberships
from billing.models import Invoice
from core import access, context
from core.access import Role, allows, require, visible
from core.actor import ANONYMOUS, SYSTEM, Actor
from core.errors import Forbidden, NotFound
from core.ids import new_id
from tests.billing import factories
from tests.cast import key_actor, new_person

pytestmark = pytest.mark.django_db
EDIT, VIEW = "accounts.organization.edit", "accounts.organization.view"


@pytest.mark.parametrize(
    ("role", "edits"),
    [
        (Role.OWNER, True),
        (Role.ADMIN, True),
        (Role.BILLING_MANAGER, False),
        (Role.MEMBER, False),
        (Role.VIEWER, False),
    ],
)
def test_lets_roles_do_what_the_permission_names(organization, role, edits):
    person = new_person("p@example.com")
    memberships.create(actor=SYSTEM, organization=organization, user=person, role=role)
    actor = actor_of_user(person)
    assert allows(actor, VIEW, organization)
    assert allows(actor, EDIT, organization) is edits


def test_says_not_found_to_the_stranger_and_forbidden_to_the_member(organization, stranger, team_mate):
    with pytest.raises(NotFound):
        require(actor_of_user(stranger), EDIT, organization)
    with pytest.raises(Forbidden) as refusal:
        require(actor_of_user(team_mate), EDIT, organization)
    assert refusal.value.extra["permission"] == EDIT


def test_gives_the_anonymous_nothing(organization, owner):
    assert not allows(ANONYMOUS, VIEW, organization)
    for model in (Organization, Membership, User, Session, ApiKey):
        assert not visible(ANONYMOUS, model.objects.all()).exists()


def test_gives_staff_and_the_system_everything(organization, staff, stranger):
    for actor in (SYSTEM, actor_of_user(staff)):
        assert allows(actor, "accounts.user.manage", stranger)
        assert visible(actor, Organization.objects.all()).count() == 2


def test_keeps_what_belongs_to_nobody_for_staff_save_what_is_ones_own(owner, stranger):
    actor = actor_of_user(owner)
    assert list(visible(actor, User.objects.all())) == [owner]
    assert allows(actor, "accounts.user.edit", owner)
    assert not allows(actor, "accounts.user.manage", owner)
    with pytest.raises(NotFound):
        require(actor, "accounts.user.edit", stranger)


def test_bounds_what_is_visible_to_the_chosen_organisation(owner, organization):
    second = Organization.objects.create(name="Second", slug="second")
    Membership.objects.create(user=owner, organization=second, role=Role.OWNER)
    actor = actor_of_user(owner)
    assert visible(actor, Membership.objects.all()).count() == 2
    with context.changed(organization_id=second.pk):
        assert visible(actor, Membership.objects.all()).count() == 1
        assert visible(actor, Organization.objects.all()).count() == 2


def test_does_not_let_the_context_widen_what_is_visible(stranger, organization):
    with context.changed(organization_id=organization.pk):
        assert not visible(actor_of_user(stranger), Membership.objects.all()).exists()
        assert not allows(actor_of_user(stranger), "accounts.membership.manage")


@pytest.mark.parametrize(
    ("scopes", "edits"),
    [
        ([EDIT], True),
        (["accounts.organization.*"], True),
        (["accounts.*"], True),
        ([VIEW], False),
        (["accounts.org.*"], False),
        (["billing.*"], False),
        ([], False),
    ],
)
def test_bounds_a_key_by_its_scopes(organization, scopes, edits):
    assert allows(key_actor(organization, *scopes), EDIT, organization) is edits


def test_never_lets_a_key_do_what_is_for_owners_or_next_door(organization, other_organization):
    key = key_actor(organization, "accounts.*")
    assert not allows(key, "accounts.ownership.manage", organization)
    assert not allows(key, VIEW, other_organization)
    assert list(visible(key, Organization.objects.all())) == [organization]
    assert not visible(key, User.objects.all()).exists()


def test_shows_a_key_only_the_kinds_of_things_it_has_a_scope_on(organization):
    assert visible(key_actor(organization, "accounts.membership.view"), Membership.objects.all()).exists()
    assert not visible(key_actor(organization, "billing.invoice.view"), Membership.objects.all()).exists()


def test_asks_postgresql_once_for_each_question(owner, organization, django_assert_num_queries):
    """Nothing is kept here: the transaction of the test wrote tuples."""
    actor = actor_of_user(owner)
    asking.engine()
    with django_assert_num_queries(1):
        assert allows(actor, EDIT, organization)
    for model in (Membership, Invoice):  # what can be shared, and what can not
        with django_assert_num_queries(2):
            list(visible(actor, model.objects.all()))


@pytest.mark.django_db(transaction=True)
def test_asks_nothing_that_it_knows(owner, organization, django_assert_num_queries):
    actor = actor_of_user(owner)
    assert allows(actor, EDIT, organization)
    with django_assert_num_queries(0):
        assert allows(actor, EDIT, organization)


def test_finds_rows_by_a_relation_to_them(owner, team_mate, stranger, staff, organization):
    mine, shared = (factories.invoice(factories.customer(organization=each)) for each in (organization, None))
    asking.grant(f"user:{stranger.pk}", "viewer", f"invoice:{shared.pk}")

    def found(person):
        return set(Invoice.objects.visible_to(actor_of_user(person), "viewer"))

    assert found(owner) == found(team_mate) == {mine}
    assert found(stranger) == {shared}
    assert found(staff) == {mine, shared}
    assert set(Invoice.objects.visible_to(ANONYMOUS)) == set()
    with pytest.raises(LookupError, match="no relation 'owner' of 'invoice'"):
        Invoice.objects.visible_to(actor_of_user(owner), "owner")


OF_THE_COMPANY = """module board
extend type invoice
  relations
    define submitter: [user]
    define reader: billing.invoice.view from organization
    define checker: [user] or reader
    define approver: checker but not submitter
"""


def test_finds_rows_by_relations_of_the_companys_own_and_by_none_that_it_cannot_bound(owner, stranger, organization):
    version, names = files_of(Path(settings.BASE_DIR, MANIFEST).read_text())
    texts = {name: Path(settings.BASE_DIR, name).read_text() for name in names}
    save_model(PermissionStore.objects.get(name=STORE), combine({**texts, "board.fga": OF_THE_COMPANY}, version))
    mine, other = (factories.invoice(factories.customer(organization=each)) for each in (organization, None))
    asking.grant(f"user:{stranger.pk}", "checker", f"invoice:{other.pk}")
    assert set(Invoice.objects.visible_to(actor_of_user(owner), "checker")) == {mine}
    assert set(Invoice.objects.visible_to(actor_of_user(stranger), "checker")) == {other}
    with pytest.raises(LookupError, match="'but not' stands over"):
        Invoice.objects.visible_to(actor_of_user(owner), "approver")


def test_takes_one_query_and_the_page_however_many_rows(owner, organization, django_assert_max_num_queries):
    customer = factories.customer(organization=organization)
    for _ in range(5):
        factories.invoice(customer)
    asking.engine()
    with django_assert_max_num_queries(2):
        assert len(Invoice.objects.visible_to(actor_of_user(owner), "viewer")) == 5


# --- reach: where a permission is held, for what is found outside of the tables ---


def reached(actor: Actor, permission: str) -> frozenset | None:
    return access.reach(actor, [permission])[permission].organizations


def test_reaches_the_organisations_whose_role_holds_the_permission(organization, other_organization, owner):
    memberships.create(actor=SYSTEM, organization=other_organization, user=owner, role=Role.VIEWER)
    actor = actor_of_user(owner)
    assert reached(actor, VIEW) == {organization.pk, other_organization.pk}
    assert reached(actor, EDIT) == {organization.pk}
    with context.changed(organization_id=other_organization.pk):
        assert reached(actor, VIEW) == {other_organization.pk}
        assert reached(actor, EDIT) == frozenset()


def test_reaches_what_was_shared_wherever_it_belongs(owner, stranger, organization):
    mine = factories.invoice(factories.customer(organization=organization))
    asking.grant(f"user:{stranger.pk}", "viewer", f"invoice:{mine.pk}")

    def found(person, permission):
        return access.reach(actor_of_user(person), [permission])[permission].rows

    assert found(stranger, "billing.invoice.view") == {mine.pk}
    assert found(stranger, "billing.payment.view") == found(owner, "billing.invoice.view") == frozenset()
    with context.changed(organization_id=new_id()):
        assert found(stranger, "billing.invoice.view") == {mine.pk}


def test_reaches_everything_as_staff_and_nothing_as_nobody(staff, owner, organization):
    assert reached(SYSTEM, EDIT) is reached(actor_of_user(staff), EDIT) is None
    assert reached(ANONYMOUS, VIEW) == reached(actor_of_user(owner), "accounts.user.view") == frozenset()


def test_reaches_as_a_key_what_its_scopes_name(organization, other_organization):
    assert reached(key_actor(organization, "accounts.organization.view"), VIEW) == {organization.pk}
    assert reached(key_actor(organization, "accounts.organization.edit"), VIEW) == {organization.pk}
    assert reached(key_actor(organization, "billing.*"), VIEW) == frozenset()
    with context.changed(organization_id=other_organization.pk):
        assert reached(key_actor(organization, "accounts.*"), VIEW) == frozenset()


def test_reaches_what_it_sees(organization, other_organization, owner, team_mate, stranger, staff):
    """`reach` and `visible` are two views of one rule."""
    for actor in (
        *map(actor_of_user, (owner, team_mate, stranger, staff)),
        key_actor(organization, "accounts.*"),
        ANONYMOUS,
    ):
        seen = set(visible(actor, Organization.objects.all()).values_list("pk", flat=True))
        found = reached(actor, VIEW)
        assert seen == (set(Organization.objects.values_list("pk", flat=True)) if found is None else found)


def test_asks_one_query_for_all_permissions(owner, organization, django_assert_num_queries):
    asking.engine()
    with context.use(context.Context()), django_assert_num_queries(1):
        access.reach(actor_of_user(owner), list(access.permissions))
