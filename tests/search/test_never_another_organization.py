"""2,000 random pairs of who asks and what: never a hit, a count or a passage of another's, against a naive oracle."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from accounts.actors import actor_of_user
from accounts.models import Organization
from accounts.permissions import asking
from accounts.services import memberships, organizations
from core import context
from core.access import Role
from core.actor import ANONYMOUS, SYSTEM, Actor
from core.ids import new_id
from search import selectors
from search.analysis import STOP_WORDS
from search.documents import Document, document_types
from search.providers import index
from tests.cast import key_actor, new_person

pytestmark = pytest.mark.django_db
PAIRS = 2000
KINDS = ("customer", "subscription", "invoice", "payment", "product", "organization", "user")
FOR_MEMBERS = {"customer", "subscription", "invoice", "payment", "organization"}
FOR_SHARING = {"customer", "subscription", "invoice", "payment"}
WORDS = [
    "red",
    "blue",
    "green",
    "hope",
    "house",
    "hotel",
    "refund",
    "open",
    "paid",
    "invoice",
    "gold",
    "silver",
    "harbor",
    "hop",
    "re",
]
SCOPES = {
    "billing.customer.view": {"customer"},
    "billing.invoice.view": {"invoice"},
    "billing.subscription.cancel": {"subscription"},
    "billing.*": {"customer", "subscription", "invoice", "payment"},
    "accounts.organization.edit": {"organization"},
    "audit.*": set(),
}


@dataclass
class Asker:
    """Somebody, and what they may see, written down by hand: kinds by organisation, and what was shared with them."""

    actor: Actor
    is_staff: bool = False
    sees: dict[UUID, set[str]] = field(default_factory=dict)
    shared: set[UUID] = field(default_factory=set)


@dataclass
class World:
    documents: list[tuple[str, Document]]
    askers: list[Asker]
    organizations: list[UUID]


def test_never_shows_or_counts_what_is_anothers() -> None:
    chance = random.Random(20)
    world = a_world(chance)
    found_something = 0
    for _ in range(PAIRS):
        asker = chance.choice(world.askers)
        chosen = chance.choice([None, None, *world.organizations])
        text, types = a_question(chance, world), chance.choice([None, None, chance.sample(KINDS, 2)])
        with context.changed(organization_id=chosen):
            found_something += check(world, asker, chosen, text, types)
    assert found_something > PAIRS / 4, "the questions must find something, or nothing is proven"


def check(world: World, asker: Asker, chosen: UUID | None, text: str, types: list[str] | None) -> bool:
    visible = [(kind, document) for kind, document in world.documents if may_see(asker, chosen, kind, document)]
    matching = [(kind, document) for kind, document in visible if matches(document, text)]
    results, hits = everything(asker.actor, text, types)
    titles = {document.id: document.title for _, document in visible}
    assert {hit.id for hit in hits} <= set(titles), "a hit of another's"
    assert len(hits) == len({hit.id for hit in hits}) == results.total
    for hit in hits:
        assert hit.title == titles[hit.id]
    wanted = [(kind, document) for kind, document in matching if types is None or kind in types]
    if results.is_relaxed:
        assert not wanted
        there = Counter(kind for kind, _ in visible)
        assert all(count <= there[kind] for kind, count in results.facets["type"].items())
    else:
        assert {hit.id for hit in hits} == {document.id for _, document in wanted}
        assert results.facets == counted(matching, wanted)
    for passage in selectors.passages(actor=asker.actor, q=text, types=types):
        source = next(document for kind, document in visible if document.id == passage.id and kind == passage.type)
        assert source.body[passage.start : passage.end] == passage.text
        assert types is None or passage.type in types
    return bool(hits)


def everything(actor: Actor, text: str, types: list[str] | None) -> tuple[selectors.Results, list[selectors.Hit]]:
    first = results = selectors.find(actor=actor, q=text, types=types, limit=40)
    hits = list(first.hits)
    while results.next is not None:
        results = selectors.find(actor=actor, q=text, types=types, limit=40, cursor=results.next)
        hits += results.hits
        assert results.facets == first.facets
    return first, hits


def counted(matching: Iterable[tuple[str, Document]], wanted: Iterable[tuple[str, Document]]) -> dict[str, dict]:
    counts: dict[str, Counter] = {"type": Counter(kind for kind, _ in matching)}
    for _, document in wanted:
        for name, value in document.facets.items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: dict(values) for name, values in counts.items()}


# --- the oracle: written down again, as simply as can be ---


def may_see(asker: Asker, chosen: UUID | None, kind: str, document: Document) -> bool:
    if asker.actor.is_anonymous:
        return False
    if asker.is_staff or document.is_public or document.id in asker.shared:
        return True
    organization = document.organization_id
    return organization in asker.sees and chosen in (None, organization) and kind in asker.sees[organization]


def matches(document: Document, text: str) -> bool:
    if len(text) >= 2 and any(key.lower().startswith(text.lower()) for key in document.keys):
        return True
    have = set(re.findall("[a-z0-9]+", " ".join((document.title, document.subtitle, document.body)).lower()))
    asked = re.findall("[a-z0-9]+", text.lower())
    asked = [word for word in asked if word not in STOP_WORDS] or asked
    asked = list(dict.fromkeys(reversed(asked)))[::-1]
    if not asked:
        return False
    return set(asked[:-1]) <= have and any(word.startswith(asked[-1]) for word in have)


# --- the world ---


def a_world(chance: random.Random) -> World:
    people = [new_person(f"p{number}@example.com") for number in range(8)]
    made = [
        organizations.create(actor=actor_of_user(people[number]), name=f"Organisation {number}") for number in range(4)
    ]
    askers = [Asker(actor_of_user(person)) for person in people]
    for number, organization in enumerate(made):
        askers[number].sees[organization.pk] = set(FOR_MEMBERS)
    for number, role in zip((4, 5, 6, 7, 0, 4), (*Role, Role.VIEWER), strict=True):
        organization = chance.choice([each for each in made if each.pk not in askers[number].sees])
        memberships.create(actor=SYSTEM, organization=organization, user=people[number], role=role)
        askers[number].sees[organization.pk] = set(FOR_MEMBERS)
    askers.append(Asker(actor_of_user(new_person("stella@example.com", is_staff=True)), is_staff=True))
    askers += [Asker(SYSTEM, is_staff=True), Asker(ANONYMOUS), Asker(actor_of_user(new_person("alone@example.com")))]
    askers += [a_key(chance, organization) for organization in made for _ in range(2)]
    documents = [(kind, a_document(chance, kind, made)) for kind in KINDS for _ in range(60)]
    for asker in [*askers[:6], askers[-len(made) * 2 - 1]]:  # the last of them belongs to no organisation
        share(chance, documents, asker)
    for kind in KINDS:
        assert kind in document_types
        with index().turn() as stamp:
            index().write(kind, [document for each, document in documents if each == kind], [], stamp)
    return World(documents, askers, [organization.pk for organization in made])


def share(chance: random.Random, documents: list[tuple[str, Document]], asker: Asker) -> None:
    for kind, document in chance.sample([each for each in documents if each[0] in FOR_SHARING], 12):
        asking.grant(f"user:{asker.actor.id}", "viewer", f"{kind}:{document.id}")
        asker.shared.add(document.id)


def a_key(chance: random.Random, organization: Organization) -> Asker:
    scopes = chance.sample(sorted(SCOPES), 2)
    actor = key_actor(organization, *scopes)
    return Asker(actor, sees={organization.pk: set.union(*(SCOPES[scope] for scope in scopes))})


def a_document(chance: random.Random, kind: str, made: list[Organization]) -> Document:
    belongs = kind not in ("product", "user") and chance.random() < 0.85
    return Document(
        id=new_id(),
        title=" ".join(chance.choices(WORDS, k=2)).title(),
        subtitle=chance.choice(WORDS),
        body=". ".join(" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(chance.randint(0, 3))),
        keys=(f"{chance.choice(WORDS)}-{chance.randint(10, 99)}@x.example", f"K{chance.randint(1, 400):04d}"),
        facets={"status": chance.choice(["open", "paid", "failed"])} if chance.random() < 0.8 else {},
        organization_id=chance.choice(made).pk if belongs else None,
        version=chance.randint(1, 9),
        is_public=not belongs and chance.random() < 0.3,
    )


def a_question(chance: random.Random, world: World) -> str:
    kind = chance.random()
    if kind < 0.15:
        return chance.choice(chance.choice(world.documents)[1].keys)[: chance.randint(1, 12)]
    if kind < 0.3:
        return chance.choice(["huose", "silvre", "zebra", "oice", "harbr gold", "%", "K00", "old ref"])
    chosen = chance.choices(WORDS, k=chance.randint(1, 3))
    chosen[-1] = chosen[-1][: chance.randint(1, len(chosen[-1]))]
    return " ".join(chosen)
