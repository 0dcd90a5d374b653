"""Who may do what, written down: the product's table of permissions, asked through `core.access` alone.

The table stands here as data, whatever decides behind the port. Memberships and keys are made by the services, since
a decision may be kept elsewhere than in their rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Model

from accounts.actors import actor_of_user
from accounts.models import Membership, Organization, Session, User
from accounts.selectors import api_keys as known_keys
from accounts.services import api_keys, memberships
from billing.models import BillingEntity, Customer, Product
from core import access, context
from core.access import Role
from core.actor import ANONYMOUS, SYSTEM, Actor
from core.clock import now
from core.errors import Forbidden, NotFound
from tests.billing import factories
from tests.cast import new_person
from tests.meta.company import Company, company

pytestmark = pytest.mark.django_db

OWNERS = ("owner",)
ADMINS = ("owner", "admin")
BILLING = ("owner", "admin", "billing_manager")
EVERYONE = ("owner", "admin", "billing_manager", "member", "viewer")
NOBODY = ()  # of an organisation: staff only

HELD: dict[str, tuple[str, ...]] = {
    "accounts.user.view": NOBODY,
    "accounts.user.edit": NOBODY,
    "accounts.user.manage": NOBODY,
    "accounts.staff.manage": NOBODY,
    "accounts.session.end": NOBODY,
    "accounts.permission.ask": NOBODY,
    "accounts.permission_model.view": NOBODY,
    "accounts.permission_model.create": NOBODY,
    "accounts.relation_tuple.view": NOBODY,
    "accounts.relation_tuple.write": NOBODY,
    "accounts.organization.view": EVERYONE,
    "accounts.organization.edit": ADMINS,
    "accounts.membership.view": EVERYONE,
    "accounts.membership.manage": ADMINS,
    "accounts.ownership.manage": OWNERS,
    "accounts.invitation.view": ADMINS,
    "accounts.invitation.manage": ADMINS,
    "accounts.api_key.view": ADMINS,
    "accounts.api_key.manage": ADMINS,
    "accounts.team.view": EVERYONE,
    "accounts.team.manage": ADMINS,
    "accounts.custom_role.view": ADMINS,
    "accounts.custom_role.manage": ADMINS,
    "accounts.service_account.view": ADMINS,
    "accounts.service_account.manage": ADMINS,
    "accounts.share.manage": BILLING,
    "ai.question.ask": EVERYONE,
    "ai.help_page.publish": NOBODY,
    "audit.event.read": ADMINS,
    "audit.personal.read": ADMINS,
    "audit.follower.reset": NOBODY,
    "billing.billing_entity.manage": NOBODY,
    "billing.product.manage": NOBODY,
    "billing.price.manage": NOBODY,
    "billing.customer.view": EVERYONE,
    "billing.customer.create": BILLING,
    "billing.customer.edit": BILLING,
    "billing.customer.import": NOBODY,
    "billing.payment_method.view": EVERYONE,
    "billing.payment_method.manage": BILLING,
    "billing.subscription.view": EVERYONE,
    "billing.subscription.create": BILLING,
    "billing.subscription.change_plan": BILLING,
    "billing.subscription.cancel": BILLING,
    "billing.subscription.pause": BILLING,
    "billing.subscription.reactivate": BILLING,
    "billing.subscription.suspend": NOBODY,
    "billing.metrics.view": NOBODY,
    "billing.invoice.view": EVERYONE,
    "billing.invoice.finalize": NOBODY,
    "billing.invoice.void": NOBODY,
    "billing.invoice.write_off": NOBODY,
    "billing.payment.view": EVERYONE,
    "billing.payment.create": BILLING,
    "billing.refund.view": EVERYONE,
    "billing.refund.create": NOBODY,
    "billing.renewal.run": NOBODY,
    "core.job.view": NOBODY,
    "core.job.replay": NOBODY,
    "core.job.discard": NOBODY,
    "core.schedule.change": NOBODY,
    "core.export.request": NOBODY,
    "core.export.cancel": NOBODY,
    "notifications.webhook_endpoint.view": ADMINS,
    "notifications.webhook_endpoint.manage": ADMINS,
    "notifications.webhook_delivery.view": ADMINS,
    "notifications.webhook_delivery.replay": ADMINS,
    "notifications.mail.resend": NOBODY,
}
# A person holds these on themselves and on their own sessions, whatever they are elsewhere.
OF_ONESELF = {"accounts.user.view", "accounts.user.edit", "accounts.session.end"}
# What an API key may at most: what an administrator may.
OF_KEYS = {name for name, roles in HELD.items() if "admin" in roles}
WILDCARDS = sorted(
    {f"{name.rsplit('.', 1)[0]}.*" for name in OF_KEYS} | {f"{name.split('.')[0]}.*" for name in OF_KEYS}
)

# What stands in a company (tests/meta/company.py) and belongs to its organisation.
ROWS = {
    "organization", "customer", "payment-methods", "subscriptions", "invoices", "payments", "refunds", "members",
    "invitations", "api-keys", "endpoints", "deliveries", "events",
}  # fmt: skip


@dataclass(frozen=True)
class Cast:
    """Our organisation and the one next door, one of everything in each, and everybody who may ask."""

    ours: Company
    theirs: Company
    actors: Mapping[str, Actor]
    people: Mapping[str, User]

    @property
    def organization(self) -> Organization:
        return self.ours.organization

    def members(self) -> Iterator[tuple[str, Actor]]:
        yield from ((role, self.actors[role]) for role in EVERYONE)

    def outsiders(self) -> Iterator[tuple[str, Actor]]:
        yield from ((name, self.actors[name]) for name in ("next door", "nobody's", "key of next door", "anonymous"))

    def over_all(self) -> Iterator[tuple[str, Actor]]:
        yield from ((name, self.actors[name]) for name in ("staff", "system"))


def key_of(organization: Organization, by: User, *scopes: str) -> Actor:
    """As whom a program acts that carries a new key with these scopes."""
    _, text = api_keys.create(
        actor=actor_of_user(by), organization=organization, name="robot", scopes=scopes, now=now()
    )
    found = known_keys.live(text, now())
    assert found is not None
    return found.actor


@pytest.fixture
def cast(
    organization: Organization, owner: User, other_organization: Organization, stranger: User, staff: User
) -> Cast:
    entity = factories.entity()
    people = {"owner": owner, "next door": stranger, "nobody's": new_person("nina@example.com"), "staff": staff}
    for role in EVERYONE[1:]:
        people[role] = new_person(f"{role}@example.com")
        memberships.create(actor=SYSTEM, organization=organization, user=people[role], role=Role(role))
    ours, theirs = company(organization, owner, entity), company(other_organization, stranger, entity)
    actors = {name: actor_of_user(person) for name, person in people.items()}
    actors |= {"anonymous": ANONYMOUS, "system": SYSTEM}
    every = [wildcard for wildcard in WILDCARDS if wildcard.count(".") == 1]
    actors["key of next door"] = key_of(other_organization, stranger, *every)
    actors["key"] = key_of(organization, owner, *every)
    return Cast(ours, theirs, actors, people)


def names(scope: str, permission: str) -> bool:
    """Whether a scope names a permission: itself, all of its noun, all of its app."""
    app, noun, _ = permission.split(".")
    return scope in (permission, f"{app}.{noun}.*", f"{app}.*")


def unlike(asked: Iterable[tuple[object, bool, bool]]) -> list[str]:
    """Of (what was asked, the answer, the expected one) those that differ, in words."""
    return [f"{what}: {answer}, and should be {expected}" for what, answer, expected in asked if answer != expected]


def test_stands_in_the_table_with_every_permission() -> None:
    missing, gone = sorted(set(access.permissions) - set(HELD)), sorted(set(HELD) - set(access.permissions))
    assert not missing, f"say in HELD who holds them (NOBODY: staff only): {missing}"
    assert not gone, f"no app declares them any more: {gone}"


def test_gives_each_role_what_the_table_says_on_everything_of_the_organisation(cast: Cast) -> None:
    asked = [
        ((role, permission, kind), access.allows(actor, permission, cast.ours.rows[kind]), role in HELD[permission])
        for role, actor in cast.members()
        for permission in HELD
        for kind in rows_for(permission)
    ]
    assert not unlike(asked)


def rows_for(permission: str) -> set[str]:
    """Rows to ask about: the organisation, one of its own field, one at two joins, and what the permission names."""
    noun = permission.split(".")[1].removeprefix("webhook_").replace("_", "-")
    named = {"membership": "members", "delivery": "deliveries"}.get(noun, f"{noun}s")
    return {"organization", "members", "refunds"} | ({named, noun} & ROWS)


def test_gives_what_stands_in_the_table_in_ones_own_organisation_only(cast: Cast) -> None:
    asked = [
        ((name, permission, kind), access.allows(actor, permission, row), False)
        for permission in HELD
        for kind in rows_for(permission)
        for actors, row in (
            (cast.outsiders(), cast.ours.rows[kind]),
            ([*cast.members(), ("key", cast.actors["key"])], cast.theirs.rows[kind]),
        )
        for name, actor in actors
    ]
    assert not unlike(asked)


def test_gives_staff_and_the_system_everything_everywhere(cast: Cast) -> None:
    rows = [None, *cast.ours.rows.values(), cast.people["nobody's"], factories.customer(organization=None)]
    asked = [
        ((name, permission, row), access.allows(actor, permission, row), True)
        for name, actor in cast.over_all()
        for permission in HELD
        for row in rows
    ]
    assert not unlike(asked)


def test_decides_by_the_chosen_organisation_where_there_is_no_row(cast: Cast) -> None:
    everybody = [*cast.members(), *cast.outsiders(), ("key", cast.actors["key"])]
    roles = {**{role: role for role in EVERYONE}, "key": "admin"}
    theirs = {"next door": "owner", "key of next door": "admin"}
    asked: list[tuple[object, bool, bool]] = []
    for chosen, holding in ((cast.organization, roles), (cast.theirs.organization, theirs), (None, {})):
        with context.use(context.Context(organization_id=chosen.pk if chosen else None)):
            asked += [
                ((name, permission, chosen), access.allows(actor, permission), holding.get(name) in HELD[permission])
                for name, actor in everybody
                for permission in HELD
            ]
    assert not unlike(asked)


def test_never_decides_by_the_chosen_organisation_where_there_is_a_row(cast: Cast) -> None:
    with context.use(context.Context(organization_id=cast.organization.pk)):
        theirs = cast.theirs.rows["customer"]
        asked = [
            ((role, permission), access.allows(actor, permission, theirs), False)
            for role, actor in cast.members()
            for permission in HELD
        ]
        nobodys = (factories.customer(organization=None), Product.objects.create(name="Phone service"))
        asked += [
            (("owner", permission, row), access.allows(cast.actors["owner"], permission, row), False)
            for permission in HELD
            for row in nobodys
        ]
    assert not unlike(asked)


def test_gives_a_person_what_is_their_own(cast: Cast) -> None:
    asked: list[tuple[object, bool, bool]] = []
    for name in (*EVERYONE, "next door", "nobody's"):
        person = cast.people[name]
        session = Session.objects.create(user=person, last_used_at=now(), expires_at=now())
        for permission in HELD:
            for row in (person, session):
                for other, actor in cast.actors.items():
                    is_own = other == name and permission in OF_ONESELF
                    answer = access.allows(actor, permission, row)
                    asked.append(((other, permission, row), answer, is_own or other in ("staff", "system")))
    assert not unlike(asked)


def test_bounds_a_key_by_its_scopes_and_by_what_an_administrator_may(cast: Cast) -> None:
    asked: list[tuple[object, bool, bool]] = []
    for scope in sorted(OF_KEYS | set(WILDCARDS)):
        key = key_of(cast.organization, cast.people["owner"], scope)
        with context.use(context.Context(organization_id=cast.organization.pk)):
            for permission in HELD:
                expected = permission in OF_KEYS and names(scope, permission)
                for row in (cast.organization, cast.ours.rows["refunds"], None):
                    asked.append(((scope, permission, row), access.allows(key, permission, row), expected))
                asked.append(
                    ((scope, permission, "next door"), access.allows(key, permission, cast.theirs.organization), False)
                )
    assert not unlike(asked)


def test_adds_the_scopes_of_a_key(cast: Cast) -> None:
    key = key_of(cast.organization, cast.people["admin"], "billing.invoice.view", "accounts.membership.*")
    held = {"billing.invoice.view", "accounts.membership.view", "accounts.membership.manage"}
    assert {name for name in HELD if access.allows(key, name, cast.organization)} == held


def test_says_not_there_of_what_may_not_be_seen_and_no_of_what_may(cast: Cast) -> None:
    """Nobody of an organisation may run renewals: how they are refused says whether they see the row."""
    wrong = []
    for kind in ROWS:
        for row, insiders in ((cast.ours.rows[kind], {*EVERYONE, "key"}), (cast.theirs.rows[kind], {"next door"})):
            for name, actor in cast.actors.items():
                if name in ("staff", "system", "key of next door"):
                    continue
                with pytest.raises((Forbidden, NotFound)) as refusal:
                    access.require(actor, "billing.renewal.run", row)
                if refusal.type is not (Forbidden if name in insiders else NotFound):
                    wrong.append((name, kind, refusal.type))
    assert not wrong


def test_says_not_there_of_what_belongs_to_nobody_and_of_other_people(cast: Cast) -> None:
    rows = [
        factories.customer(organization=None), factories.price(), cast.people["viewer"], cast.ours.rows["sessions"],
        cast.ours.rows["notifications"], cast.ours.rows["questions"],
    ]  # fmt: skip
    for row in rows:
        for name in ("admin", "member", "next door", "nobody's", "key", "key of next door", "anonymous"):
            with pytest.raises(NotFound):
                access.require(cast.actors[name], "billing.renewal.run", row)
    with pytest.raises(Forbidden):
        access.require(cast.actors["viewer"], "accounts.user.manage", cast.people["viewer"])
    with pytest.raises(Forbidden):
        access.require(cast.actors["owner"], "accounts.user.manage", cast.ours.rows["sessions"])


def test_requires_what_is_held_without_a_word(cast: Cast) -> None:
    for role, actor in cast.members():
        for permission, roles in HELD.items():
            if role in roles:
                access.require(actor, permission, cast.organization)
            else:
                with pytest.raises(Forbidden) as refusal:
                    access.require(actor, permission, cast.organization)
                assert refusal.value.extra["permission"] == permission


def seen(actor: Actor, model: type[Model]) -> set[Any]:
    return set(access.visible(actor, model._default_manager.all()).values_list("pk", flat=True))


def test_shows_each_the_rows_of_their_own_organisations(cast: Cast) -> None:
    wrong = []
    for kind in ROWS:
        model: Any = type(cast.ours.rows[kind])
        everything = set(model.objects.values_list("pk", flat=True))
        by_organization = {
            side.organization.pk: {
                row.pk for row in model.objects.all() if organization_of(row) == side.organization.pk
            }
            for side in (cast.ours, cast.theirs)
        }
        ours, theirs = by_organization.values()
        assert ours
        assert theirs
        expected = {
            **dict.fromkeys((*EVERYONE, "key"), ours),
            **dict.fromkeys(("next door", "key of next door"), theirs),
        }
        expected |= {"nobody's": set(), "anonymous": set(), "staff": everything, "system": everything}
        wrong += [(name, kind) for name, actor in cast.actors.items() if seen(actor, model) != expected[name]]
    assert not wrong


def organization_of(row: Any) -> UUID | None:
    """To whom a row belongs, said without the models' own word for it."""
    for name in ("payment", "invoice", "subscription", "customer"):
        row = getattr(row, name, row) if isinstance(getattr(row, name, None), Model) else row
    return row.pk if isinstance(row, Organization) else row.organization_id


def test_bounds_what_is_shown_by_the_chosen_organisation_and_never_widens_it(cast: Cast) -> None:
    owner = cast.people["owner"]
    memberships.create(actor=SYSTEM, organization=cast.theirs.organization, user=owner, role=Role.VIEWER)
    both = {cast.ours.rows["customer"].pk, cast.theirs.rows["customer"].pk}
    actor = actor_of_user(owner)
    assert seen(actor, Customer) == both
    for side in (cast.ours, cast.theirs):
        with context.use(context.Context(organization_id=side.organization.pk)):
            assert seen(actor, Customer) == {side.rows["customer"].pk}
            assert seen(actor, Organization) == {cast.organization.pk, cast.theirs.organization.pk}
            assert seen(cast.actors["nobody's"], Customer) == set()
            assert seen(cast.actors["key"], Customer) == {cast.ours.rows["customer"].pk}
    with context.use(context.Context(organization_id=cast.theirs.organization.pk)):
        assert seen(cast.actors["admin"], Customer) == set()


def test_shows_a_person_themselves_and_a_key_nobody(cast: Cast) -> None:
    for name, person in cast.people.items():
        actor = cast.actors[name]
        if name == "staff":
            assert seen(actor, User) == set(User.objects.values_list("pk", flat=True))
            assert seen(actor, Session) == set(Session.objects.values_list("pk", flat=True))
        else:
            assert seen(actor, User) == {person.pk}
            assert seen(actor, Session) == set(Session.objects.filter(user=person).values_list("pk", flat=True))
    for name in ("key", "anonymous"):
        assert seen(cast.actors[name], User) == seen(cast.actors[name], Session) == set()


def test_shows_what_belongs_to_nobody_to_staff_only(cast: Cast) -> None:
    nobodys = factories.customer(organization=None)
    for name, actor in cast.actors.items():
        is_over_all = name in ("staff", "system")
        assert (nobodys.pk in seen(actor, Customer)) == is_over_all, name
        assert (seen(actor, BillingEntity) != set()) == is_over_all, name
        assert (seen(actor, Product) != set()) == is_over_all, name


def test_shows_a_key_the_kinds_of_things_on_which_it_has_any_scope(cast: Cast) -> None:
    kinds = {"billing.invoice": "invoices", "billing.customer": "customer", "accounts.membership": "members"}
    for scope in ("billing.invoice.view", "billing.customer.edit", "accounts.membership.*"):
        key = key_of(cast.organization, cast.people["owner"], scope)
        for noun, kind in kinds.items():
            assert (seen(key, type(cast.ours.rows[kind])) != set()) == scope.startswith(noun), (scope, kind)
        assert seen(key, Organization) == {cast.organization.pk}


def test_reaches_where_each_permission_is_held(cast: Cast) -> None:
    ours, theirs = frozenset({cast.organization.pk}), frozenset({cast.theirs.organization.pk})
    wrong = []
    for name, actor in cast.actors.items():
        for permission, found in access.reach(actor, list(HELD)).items():
            expected: frozenset[UUID] | None = frozenset()
            if name in ("staff", "system"):
                expected = None
            elif name in HELD[permission] or (name == "key" and permission in OF_KEYS):
                expected = ours
            elif {"next door": "owner", "key of next door": "admin"}.get(name) in HELD[permission]:
                expected = theirs
            if found.organizations != expected:
                wrong.append((name, permission, found))
    assert not wrong


def test_reaches_several_organisations_by_what_one_is_in_each(cast: Cast) -> None:
    memberships.create(
        actor=SYSTEM, organization=cast.theirs.organization, user=cast.people["billing_manager"], role=Role.MEMBER
    )
    actor, ours, theirs = cast.actors["billing_manager"], cast.organization.pk, cast.theirs.organization.pk
    found = access.reach(actor, list(HELD))
    for permission, roles in HELD.items():
        expected = {place for place, role in ((ours, "billing_manager"), (theirs, "member")) if role in roles}
        assert found[permission].organizations == expected, permission
    with context.use(context.Context(organization_id=theirs)):
        for permission, held in access.reach(actor, list(HELD)).items():
            assert held.organizations == ({theirs} if "member" in HELD[permission] else set()), permission


def test_follows_a_role_at_once_in_the_same_transaction(cast: Cast) -> None:
    person, actor = cast.people["member"], cast.actors["member"]
    membership = Membership.objects.get(user=person)
    for role in (*EVERYONE, *reversed(EVERYONE)):
        memberships.change_role(actor=SYSTEM, membership=membership, role=Role(role))
        held = {name for name in HELD if access.allows(actor, name, cast.organization)}
        assert held == {name for name, roles in HELD.items() if role in roles}, role
    memberships.remove(actor=SYSTEM, membership=membership)
    assert not [name for name in HELD if access.allows(actor, name, cast.organization)]
    assert seen(actor, Customer) == seen(actor, Organization) == set()
    assert {held.organizations for held in access.reach(actor, list(HELD)).values()} == {frozenset()}
    memberships.create(actor=SYSTEM, organization=cast.organization, user=person, role=Role.VIEWER)
    assert access.allows(actor, "billing.invoice.view", cast.organization)


def test_keeps_a_key_when_who_made_it_leaves(cast: Cast) -> None:
    admin = cast.people["admin"]
    key = key_of(cast.organization, admin, "billing.customer.edit")
    memberships.remove(actor=SYSTEM, membership=Membership.objects.get(user=admin))
    assert access.allows(key, "billing.customer.edit", cast.organization)
    assert not access.allows(actor_of_user(admin), "billing.customer.edit", cast.organization)
