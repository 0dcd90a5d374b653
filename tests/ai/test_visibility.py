"""Nobody is told what they may not see: 2,000 random questions of random askers, against an oracle that knows who may
see what without asking the product."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from accounts.actors import actor_of_user
from accounts.models import Organization
from accounts.services import api_keys, memberships, organizations
from ai.models import Question
from ai.services import help_pages, questions
from core import clock, context
from core.access import Role
from core.actor import SYSTEM, Actor, ActorType
from core.ids import new_id, split
from search.documents import document_types
from search.services import indexing
from tests.billing import factories
from tests.cast import new_person

PAIRS = 2000
EVERYBODYS = {"help_page", "product"}
CODEWORDS = ("quokka", "axolotl", "pangolin", "narwhal", "okapi", "tapir", "numbat", "dugong", "kakapo")
GENERIC = ("Which invoices of {} are paid?", "Customer {}", "who is {}?", "subscription of {} in USD", "payment by {}")
HELP = ("How do I refund a payment?", "Customer Corp billed", "Invoice for Corp", "organisation members", "{} Corp")


@dataclass(frozen=True)
class Asker:
    """Who asks, in which organisation, and what they may see: kinds of documents (None: all) of organisations."""

    actor: Actor
    chosen: Organization | None
    types: frozenset[str] | None
    organizations: frozenset[Any]


@pytest.fixture
def world(db: None) -> dict[str, Any]:
    """Three organisations with customers, invoices and payments whose names hold words of their own."""
    entity, words = factories.entity(), iter(CODEWORDS)
    price = factories.price()
    groups: list[Organization] = []
    belongs: dict[str, Any] = {}
    for number in range(3):
        owner = new_person(f"owner{number}@x.example", name=f"Owner {number}")
        organization = organizations.create(actor=actor_of_user(owner), name=f"Organisation {number}")
        groups.append(organization)
        for _ in range(3):
            word = next(words)
            belongs[word] = organization.pk
            customer = factories.customer(
                organization=organization, billing_entity=entity, name=f"{word.title()} Corp", email=f"{word}@c.example"
            )
            factories.invoice(customer, running=factories.subscription(customer, price))
    factories.customer(organization=None, billing_entity=entity, name="Nobodys Corp", email="n@c.example")
    help_pages.publish(actor=SYSTEM, now=clock.now())
    for kind in document_types.values():
        indexing.index(kind, kind.ids())
    return {"organizations": groups, "belongs": belongs, "askers": _askers(groups)}


def _askers(groups: list[Organization]) -> list[Asker]:
    found = []
    everything = frozenset(organization.pk for organization in groups)
    for number, organization in enumerate(groups):
        own = frozenset({organization.pk})
        for role in (Role.VIEWER, Role.OWNER):
            person = new_person(f"{role}{number}@y.example")
            memberships.create(actor=SYSTEM, organization=organization, user=person, role=role)
            found.append(Asker(actor_of_user(person), organization, None, own))
        for scopes, types in (
            (["ai.*", "billing.customer.view"], {"customer"}),
            (["ai.question.ask", "billing.invoice.view"], {"invoice"}),
            (["ai.*"], set()),
        ):
            owner = memberships_owner(organization)
            key, _ = api_keys.create(
                actor=actor_of_user(owner), organization=organization, name="k", scopes=scopes, now=clock.now()
            )
            actor = Actor(ActorType.API_KEY, key.pk, organization_id=organization.pk, scopes=frozenset(scopes))
            found.append(Asker(actor, organization, frozenset(types), own))
    both = new_person("both@y.example")
    for organization in groups[:2]:
        memberships.create(actor=SYSTEM, organization=organization, user=both, role=Role.MEMBER)
    found.append(Asker(actor_of_user(both), groups[0], None, frozenset({groups[0].pk})))
    found.append(Asker(actor_of_user(both), None, None, frozenset({groups[0].pk, groups[1].pk})))
    found.append(Asker(actor_of_user(new_person("none@y.example")), None, None, frozenset()))
    found.append(Asker(actor_of_user(new_person("desk@y.example", is_staff=True)), None, None, everything | {None}))
    return found


def memberships_owner(organization: Organization) -> Any:
    return organization.memberships.get(role=Role.OWNER, user__email__endswith="@x.example").user


def _organization_of(citation: dict[str, Any]) -> Any:
    """Whose the cited object is, asked of its own table."""
    row = document_types[citation["type"]].model._base_manager.get(pk=split(citation["id"])[1])  # type: ignore[union-attr]
    for part in (row.organization_path or "").split("__"):
        row = getattr(row, part)
    return row


def test_tells_nobody_what_they_may_not_see(world: dict[str, Any]) -> None:
    chance = random.Random(20261122)
    cited = foreign = 0
    for _ in range(PAIRS):
        asker: Asker = chance.choice(world["askers"])
        word = chance.choice(CODEWORDS)
        text = chance.choice(GENERIC + HELP).format(word.title())
        with context.changed(organization_id=asker.chosen.pk if asker.chosen else None):
            question = questions.ask(actor=asker.actor, text=text, operation_key=new_id().hex, now=clock.now())
        foreign += world["belongs"][word] not in asker.organizations
        for citation in question.citations:
            cited += 1
            if citation["type"] in EVERYBODYS:
                continue
            assert asker.types is None or citation["type"] in asker.types, (asker, text, citation)
            assert _organization_of(citation) in asker.organizations, (asker, text, citation)
        shown = question.answer.lower() + str(question.citations).lower()
        for other, organization in world["belongs"].items():
            assert other not in shown or organization in asker.organizations, (asker, text, shown)
    assert Question.objects.count() == PAIRS
    assert cited > PAIRS / 3
    assert foreign > PAIRS / 3
