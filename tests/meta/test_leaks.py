"""Every operation of the schema, asked by everybody: who may is answered, who may not learns nothing.

What stands in another organisation reads as what is not there, and no reply holds a mark (id, name, address) of what
the asker may not see. The table of who may is `who_may.py`; rows, bodies and ids stand in `company.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import redis

from accounts.models import ApiKey, Organization, Session, User
from accounts.permissions.models import PermissionModel
from billing.models import BillingEntity, Invoice, Price
from core.access import Role
from core.clock import now
from tests.billing import factories
from tests.cast import Api, new_person
from tests.meta.company import BODIES, QUERIES, SUBJECTS, Company, company, key_of, missing, with_role
from tests.meta.operations import NOBODYS, Operation, all_operations, ask, kind_of, told
from tests.meta.who_may import ANSWERS_NO, ANSWERS_OTHERWISE, ANYBODY, SEEN_BY, WHO, WITHOUT_A_SCOPE
from tests.support.index import index_everything

pytestmark = pytest.mark.django_db

EVERYTHING = all_operations()
OPERATIONS = [operation for operation in EVERYTHING if not operation.is_public]
OUTSIDERS = ("person", "person naming us", "key", "key naming us", "of no organisation")
WITHOUT_PROOF = (
    "anonymous", "made-up key", "made-up token", "revoked key", "expired key", "ended session", "expired session",
    "deactivated person",
)  # fmt: skip


@pytest.fixture(autouse=True)
def unlimited(settings: Any) -> None:
    settings.RATE_LIMIT_SCALE = 1e6


@pytest.fixture
def entity(db: None) -> BillingEntity:
    return factories.entity()


@pytest.fixture
def price(db: None) -> Price:
    return factories.price(amount_minor=1234)


@pytest.fixture
def ours(organization: Organization, owner: User, entity: BillingEntity) -> Company:
    return company(organization, owner, entity)


@pytest.fixture
def theirs(other_organization: Organization, stranger: User, entity: BillingEntity) -> Company:
    return company(other_organization, stranger, entity)


@pytest.fixture
def catalogue(price: Price, entity: BillingEntity) -> dict[str, str]:
    """What everybody, or the staff, may name: nothing of an organisation's."""
    return {
        "price": price.public_id,
        "product": price.product.public_id,
        "billing-entities": entity.public_id,
        "models": PermissionModel.objects.latest("pk").public_id,
    }


# --- the table is whole: a new route is written into it ---


def test_says_of_each_operation_who_may() -> None:
    new = [operation.name for operation in EVERYTHING if operation.name not in WHO]
    lines = "\n".join(f'    "{name}": EVERYBODY,' for name in new)
    assert not new, f"write into WHO in tests/meta/who_may.py who may call what is new, for example\n{lines}"
    gone = sorted(WHO.keys() - {operation.name for operation in EVERYTHING})
    assert not gone, f"take out of WHO in tests/meta/who_may.py what is no operation any more: {gone}"
    for operation in EVERYTHING:
        assert operation.is_public == (WHO[operation.name] == ANYBODY), f"{operation.name}: public, or not?"


def test_can_ask_each_operation_rightly() -> None:
    needing = {operation.name for operation in OPERATIONS if operation.has_body}
    assert not needing - BODIES.keys(), f"write into BODIES in tests/meta/company.py: {needing - BODIES.keys()}"
    assert not BODIES.keys() - needing, f"no operations that take a body: {BODIES.keys() - needing}"
    required = {operation.name for operation in OPERATIONS if operation.required}
    assert required == QUERIES.keys(), f"QUERIES in tests/meta/company.py: {required ^ QUERIES.keys()}"
    assert SUBJECTS.keys() | ANSWERS_OTHERWISE.keys() | WITHOUT_A_SCOPE <= WHO.keys()


def test_knows_a_row_for_each_id_in_an_address(ours: Company, catalogue: dict[str, str]) -> None:
    for operation in OPERATIONS:
        try:
            operation.address({**ours.ids, **catalogue})
        except KeyError as kind:
            pytest.fail(f"{operation.path}: put a row named {kind} into `company` in tests/meta/company.py")
    assert SEEN_BY.keys() <= ours.rows.keys()


def test_names_every_row_that_a_body_can_name(ours: Company, catalogue: dict[str, str]) -> None:
    those = {**ours.ids, **catalogue}
    for operation in OPERATIONS:
        lacking = operation.named - NOBODYS - set(fields_of(operation.body(those)))
        assert not lacking, f"{operation.name}: name {sorted(lacking)} in BODIES in tests/meta/company.py"


def fields_of(value: Any, before: str = "") -> Iterator[str]:
    """Walk the names of the fields of a body as the schema's are: `items.price_id`."""
    for name, part in value.items() if isinstance(value, Mapping) else ():
        yield f"{before}{name}"
        for each in part if isinstance(part, list) else [part]:
            yield from fields_of(each, f"{before}{name}.")


# --- outside of the organisation ---


def outsider(who: str, api: Any, ours: Company, theirs: Company) -> Api:
    """Somebody with a proof of their own and no right to anything of ours."""
    if who.startswith("key"):
        client = api().carry(key_of(theirs.organization, theirs.owner)[1])
    else:
        client = api(new_person("nina@alone.example") if who == "of no organisation" else theirs.owner)
    if who.endswith("naming us"):
        proof, organization = f"Bearer {client.access_token}", ours.organization.public_id
        client.credentials(HTTP_AUTHORIZATION=proof, HTTP_X_ORGANIZATION=organization)
    return client


@pytest.mark.parametrize("who", OUTSIDERS)
def test_says_of_what_is_anothers_what_it_says_of_what_is_not_there(
    who: str, api: Any, ours: Company, theirs: Company, catalogue: dict[str, str]
) -> None:
    client, nothing, wrong = outsider(who, api, ours, theirs), missing(ours), []
    for operation in OPERATIONS:
        is_catalogue = re.search("/(products|prices|billing-entities|models)(/|$)", operation.path)
        real = ask(client, operation, {**ours.ids, **catalogue})
        if who.endswith("naming us") and real.status != 404:
            wrong.append((operation.name, "lets a stranger name our organisation", real.status))
        if operation.is_named and not is_catalogue:
            unreal = ask(client, operation, {**nothing, **catalogue})
            if told(real, ours.ids) != told(unreal, nothing):
                wrong.append((operation.name, told(real, ours.ids), told(unreal, nothing)))
            if real.status < 400 and operation.name not in ANSWERS_NO:
                wrong.append((operation.name, "succeeds", real.text))
            if who == "person" and operation.method == "get" and real.status != 404:
                wrong.append((operation.name, "does not say that there is no such thing", real.status))
        if seen := real.shows(ours.marks):
            wrong.append((operation.name, "shows", seen))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("who", WITHOUT_PROOF)
def test_lets_nobody_in_whose_proof_does_not_hold(
    who: str, api: Any, ours: Company, catalogue: dict[str, str], settings: Any
) -> None:
    client = without_proof(who, api, ours)
    redis.Redis.from_url(settings.REDIS_URL).flushdb()
    for operation in OPERATIONS:
        answer = ask(client, operation, {**ours.ids, **catalogue})
        assert answer.status == 401, (operation.name, answer.text)
        assert answer.reply.headers["WWW-Authenticate"].startswith("Bearer"), operation.name
        assert not answer.shows(ours.marks), operation.name


def without_proof(who: str, api: Any, ours: Company) -> Api:
    client: Api = api()
    if who.startswith("made-up"):
        client.carry(f"ck_live_{'a' * 12}_{'b' * 43}" if who.endswith("key") else "e30.e30.c2lnbmF0dXJl")
    elif who.endswith("key"):
        row, text = key_of(ours.organization, ours.owner)
        past = {"revoked_at": now()} if who == "revoked key" else {"expires_at": now() - timedelta(seconds=1)}
        ApiKey.objects.filter(pk=row.pk).update(**past)
        client.carry(text)
    elif who != "anonymous":
        client = api(ours.owner)
        sessions = Session.objects.filter(user=ours.owner)
        if who == "ended session":
            sessions.update(ended_at=now())
        elif who == "expired session":
            sessions.update(expires_at=now() - timedelta(seconds=1))
        else:
            User.objects.filter(pk=ours.owner.pk).update(is_active=False)
    return client


def test_tells_nobody_anything_where_no_token_is_needed(api: Any, ours: Company) -> None:
    for operation in EVERYTHING:
        if operation.is_public:
            answer = ask(api(), operation, ours.ids, body={})
            assert answer.status in (200, 400), operation.name
            assert not answer.shows(ours.marks), operation.name


# --- inside of it ---


def insider(who: str, api: Any, ours: Company, staff: User) -> Api:
    if who == "key":
        return api().carry(key_of(ours.organization, ours.owner)[1])
    if who == "staff":
        return api(staff)
    return api(ours.owner if who == Role.OWNER else with_role(ours.organization, Role(who)))


@pytest.mark.parametrize("who", [*Role, "key", "staff"])
def test_lets_each_do_what_is_theirs_and_nothing_else(
    who: str, api: Any, ours: Company, theirs: Company, catalogue: dict[str, str], staff: User
) -> None:
    client, wrong = insider(who, api, ours, staff), []
    unseen = ours.marks_unseen_by(who) | (frozenset() if who == "staff" else theirs.marks)
    for operation in OPERATIONS:
        answer = ask(client, operation, {**ours.ids, **catalogue})
        expected = (200, 201, 202, 204) if who in WHO[operation.name] else (403, 404)
        others, status = ANSWERS_OTHERWISE.get(operation.name, ((), 0))
        if who in others:
            expected = (status,)
        if answer.status not in expected:
            wrong.append((operation.name, answer.status, answer.text[:300]))
        if seen := answer.shows(unseen):
            wrong.append((operation.name, "shows", seen))
    assert not wrong, "\n".join(map(str, wrong))


def test_gives_a_key_with_other_scopes_nothing_of_what_it_does_not_name(
    api: Any, ours: Company, catalogue: dict[str, str]
) -> None:
    client = api().carry(key_of(ours.organization, ours.owner, "audit.personal.read")[1])
    wrong = []
    for operation in OPERATIONS:
        answer = ask(client, operation, {**ours.ids, **catalogue})
        if (answer.status < 300) != (operation.name in WITHOUT_A_SCOPE):
            wrong.append((operation.name, answer.status, answer.text[:300]))
        marks = ours.marks if operation.name not in WITHOUT_A_SCOPE else ours.marks_unseen_by("viewer")
        if seen := answer.shows(marks):
            wrong.append((operation.name, "shows", seen))
    assert not wrong, "\n".join(map(str, wrong))


# --- side doors: filters, totals, cursors, search, ids inside requests ---

# The filters that narrow by something of a company's: how to name what is ours.
NARROWING: dict[str, Callable[[Mapping[str, str], Company], str]] = {
    **{
        f"{name}_id": (lambda those, _, kind=kind: those[kind])  # type: ignore[misc]
        for name, kind in {
            "customer": "customer", "subscription": "subscriptions", "invoice": "invoices", "payment": "payments",
            "organization": "organization", "price": "unlisted_price", "endpoint": "endpoints", "event": "events",
        }.items()
    },
    "organization": lambda those, _: those["organization"],
    "subject": lambda those, _: those["customer"],
    "object": lambda those, _: those["invoices"],
    "actor": lambda those, _: those["api-keys"],
    "search": lambda those, _: those["customer"],
}  # fmt: skip
# Those that ask for values, which everybody may: of what the asker sees nobody else's has them.
PLAIN = {
    "access", "billing_entity_id", "cancel_at_period_end", "command_id", "condition", "created_after",
    "created_before", "currency", "cursor", "email", "event_type", "external_id", "include_total", "interval",
    "is_active", "is_archived", "is_detached", "is_enabled", "is_listed", "is_read", "kind", "limit", "lookup_key",
    "number", "object_type", "occurred_after", "occurred_before", "period_ends_after", "period_ends_before",
    "product_id", "q", "reason", "relation", "request_id", "show",
    "source", "start_time", "state", "status", "type", "user",
}  # fmt: skip


def test_knows_every_filter() -> None:
    unknown = {name for operation in OPERATIONS for name in operation.filters} - NARROWING.keys() - PLAIN
    assert not unknown, f"write them into NARROWING (ids and addresses of a company's) or PLAIN: {sorted(unknown)}"


def test_reveals_nothing_by_filters_and_totals(
    api: Any, ours: Company, theirs: Company, catalogue: dict[str, str]
) -> None:
    client = api(theirs.owner)
    nothing = missing(ours)
    asked = 0
    for operation in OPERATIONS:
        for name in operation.filters:
            if name in NARROWING and "{" not in operation.path and "owner" in WHO[operation.name]:
                real, unreal = (
                    ask(client, operation, catalogue, f"?include_total=true&{name}={NARROWING[name](those, ours)}")
                    for those in (ours.ids, nothing)
                )
                assert real.status == unreal.status == 200, (operation.name, name, real.text)
                assert told(real, ours.ids) == told(unreal, nothing), (operation.name, name)
                assert real.reply.json()["total"] == 0, (operation.name, name)
                asked += 1
    assert asked >= 10


def test_finds_nothing_of_ours_by_values(api: Any, ours: Company, theirs: Company) -> None:
    """Numbers, addresses and references are no ids: who guesses one learns nothing either."""
    number = Invoice.objects.get(pk=ours.rows["invoices"].pk).number
    for path in (f"invoices?number={number}", f"customers?email=pay@{ours.organization.slug}.example"):
        assert api(ours.owner).get(f"/api/v1/{path}").json()["data"]
        assert not api(theirs.owner).get(f"/api/v1/{path}").json()["data"]


def test_goes_on_with_anothers_cursor_in_ones_own_rows_only(api: Any, ours: Company, theirs: Company) -> None:
    link = api(ours.owner).get("/api/v1/invoices?limit=1").json()["next"]
    for reply in (api(theirs.owner).get(link), api(theirs.owner).get("/api/v1/invoices?include_total=true")):
        shown = reply.json()
        assert {row["customer_id"] for row in shown["data"]} <= {theirs.ids["customer"]}
    assert shown["total"] == Invoice.objects.filter(customer=theirs.rows["customer"].pk).count()


def test_finds_nothing_of_ours_by_words(api: Any, ours: Company, theirs: Company, staff: User) -> None:
    index_everything()
    words = [*sorted(ours.texts), ours.ids["customer"], ours.ids["invoices"], ours.rows["invoices"].number]  # type: ignore[attr-defined]
    assert ask(api(ours.owner), by_name("search"), {}, f"?q={ours.rows['customer'].name}").shows(ours.marks)  # type: ignore[attr-defined]
    for who in ("person", "key", "of no organisation"):
        client = outsider(who, api, ours, theirs)
        for word in words:
            for operation, query, body in (
                (by_name("search"), f"?q={word}", None),
                (by_name("ai_ask"), "", {"question": f"What do we know of {word}?"}),
            ):
                answer = ask(client, operation, {}, query, body)
                assert answer.status in (200, 404), (who, word, answer.text)
                assert not answer.shows(ours.marks), (who, operation.name, word)


def by_name(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)


def test_takes_no_row_of_anothers_beside_ones_own(
    api: Any, ours: Company, theirs: Company, catalogue: dict[str, str]
) -> None:
    """One id of ours inside requests that are otherwise about what is theirs, each in its turn."""
    client, nothing = api(theirs.owner), missing(ours)
    own = {**theirs.ids, **catalogue}
    wrong, asked = [], 0
    for operation in OPERATIONS:
        for kind in kinds_named(operation, own):
            mine = SUBJECTS.get(operation.name, {}).get(kind, kind)
            name = "unlisted_price" if kind == "price" else mine
            real, unreal = (
                ask(client, operation, {**own, kind: those[name], mine: those[name]}) for those in (ours.ids, nothing)
            )
            if told(real, ours.ids) != told(unreal, nothing) or not (
                400 <= real.status <= 404 or operation.name in ANSWERS_NO
            ):
                wrong.append((operation.name, kind, told(real, ours.ids), told(unreal, nothing)))
            asked += 1
    assert not wrong, "\n".join(map(str, wrong))
    assert asked >= 60


def kinds_named(operation: Operation, own: Mapping[str, str]) -> list[str]:
    """Return the kinds of rows that a request names, in its address and in its body, save those of the catalogue."""
    body = str(operation.body(own))
    inside = {kind for kind, value in own.items() if value in body}
    outside = {kind_of(operation.path[: each.end()]) for each in re.finditer(r"\{\w+\}", operation.path)}
    return sorted((inside | outside) - {"product", "billing-entities", "models"})
