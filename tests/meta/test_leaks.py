"""Every operation of the schema, asked by everybody who should not be told: "not yours" reads as "not there"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import transaction
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator

from accounts.models import ApiKey, Organization, Session, User
from billing.models import BillingEntity, Price
from core.access import ADMINS, BILLING, EVERYONE, Role
from core.clock import now
from core.ids import new_id
from tests.accounts.permissions.over_http import engine
from tests.billing import factories
from tests.cast import Api
from tests.meta.company import BODIES, Company, company, key_of, missing, with_role

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str
    is_public: bool
    has_body: bool
    filters: tuple[str, ...]

    @property
    def is_named(self) -> bool:
        """Whether an id of somebody's stands in its address or its body."""
        return (
            "{" in self.path
            or self.name in ("customers_create", "payments_create", "refunds_create", "shares_create")
            or self.name == "webhooks_endpoints_create"
            or (self.name in ("subscriptions_create", "subscriptions_preview_new"))
        )

    def address(self, those: Mapping[str, str]) -> str:
        def named(match: re.Match[str]) -> str:
            segment, name = match[1], match[2]
            kind = name.removesuffix("_id") if name != "id" else _PARTS.get(match.string[: match.end()], _kind(segment))
            return f"{segment}/{those[kind]}"

        return re.sub(r"([a-z-]+)/\{(\w+)\}", named, self.path)


# What is a part of something else than an organisation, by its address.
_PARTS = {
    "/api/v1/teams/{team_id}/members/{id}": "team-members",
    "/api/v1/roles/{role_id}/assignees/{id}": "role-assignees",
}


def _kind(segment: str) -> str:
    return {"organizations": "organization", "customers": "customer", "products": "product", "prices": "price"}.get(
        segment, segment
    )


def _operations() -> list[Operation]:
    with GENERATOR_STATS.silence():
        schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return [
        Operation(
            declared["operationId"],
            method,
            path,
            declared["security"] == [{}],
            "requestBody" in declared,
            tuple(one["name"] for one in declared.get("parameters", ()) if one["in"] == "query"),
        )
        for path, methods in schema["paths"].items()
        for method, declared in methods.items()
        if method in METHODS
    ]


OPERATIONS = [operation for operation in _operations() if not operation.is_public]


@pytest.fixture(autouse=True)
def unlimited(settings: Any) -> None:
    settings.RATE_LIMIT_SCALE = 1e6


@pytest.fixture(autouse=True)
def permission_model(db: None) -> None:
    engine("model\n  schema 1.1\ntype user\ntype api_key\ntype organization\n"
           "  relations\n    define member: [user, api_key]\n")  # fmt: skip


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
    """What everybody may name."""
    return {"price": price.public_id, "product": price.product.public_id, "billing-entities": entity.public_id}


@contextmanager
def undone() -> Iterator[None]:
    """Whatever happens inside has not happened."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def ask(client: Api, operation: Operation, those: Mapping[str, str], query: str = "") -> Any:
    body = BODIES.get(operation.name, lambda those: {})(those) if operation.has_body else None
    headers = {"Idempotency-Key": new_id().hex} if operation.method == "post" else {}
    with undone():
        return getattr(client, operation.method)(operation.address(those) + query, body, headers=headers)


def told(reply: Any, *known: Mapping[str, str]) -> tuple[object, ...]:
    """What a reply tells: status, names of headers, and its text without ids and request id."""
    text = reply.content.decode()
    for those in known:
        for value in those.values():
            text = text.replace(value, "<id>")
    text = re.sub(r'"request_id":"[^"]*"', "", text)
    return reply.status_code, tuple(sorted(name.lower() for name in reply.headers)), text


def test_has_a_body_for_each_operation_that_takes_one() -> None:
    needing = {operation.name for operation in OPERATIONS if operation.has_body}
    assert not needing - set(BODIES)
    assert not set(BODIES) - needing


@pytest.mark.parametrize("by", ["person", "key", "naming"])
def test_says_of_what_is_anothers_what_it_says_of_what_is_not_there(
    by: str, api: Any, ours: Company, theirs: Company, catalogue: dict[str, str]
) -> None:
    if by == "key":
        client = api().carry(key_of(theirs.organization, theirs.owner)[1])
    else:
        client = api(theirs.owner)
    if by == "naming":
        token = client.access_token
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_ORGANIZATION=ours.organization.public_id)
    nothing = missing(ours)
    wrong = []
    for operation in OPERATIONS:
        if re.search("/(products|prices|billing-entities)/", operation.path):
            continue  # the catalogue is everybody's
        real = ask(client, operation, {**ours.ids, **catalogue})
        if by == "naming" and real.status_code != 404:
            wrong.append((operation.name, "lets a stranger name our organisation", real.status_code))
        if operation.is_named:
            unreal = ask(client, operation, {**nothing, **catalogue})
            if told(real, ours.ids) != told(unreal, nothing):
                wrong.append((operation.name, told(real, ours.ids), told(unreal, nothing)))
            if real.status_code < 400:
                wrong.append((operation.name, "succeeds", real.content))
        if not operation.is_named and any(value in real.content.decode() for value in ours.ids.values()):
            wrong.append((operation.name, "shows", real.content))
    assert not wrong


def test_reveals_nothing_by_filters_and_totals(
    api: Any, ours: Company, theirs: Company, catalogue: dict[str, str]
) -> None:
    client = api(theirs.owner)
    nothing = missing(ours)
    kinds = {"customer_id": "customer", "subscription_id": "subscriptions", "invoice_id": "invoices"}
    kinds |= {"payment_id": "payments", "organization_id": "organization", "organization": "organization"}
    kinds |= {"subject": "customer", "actor": "api-keys", "price_id": "unlisted_price", "search": "customer"}
    kinds |= {"endpoint_id": "endpoints", "event_id": "events", "object": "shared"}
    asked = 0
    for operation in OPERATIONS:
        for name in operation.filters:
            if name in kinds and "{" not in operation.path and not operation.path.startswith("/api/v1/permissions/"):
                real, unreal = (
                    ask(client, operation, catalogue, f"?include_total=true&{name}={those[kinds[name]]}")
                    for those in (ours.ids, nothing)
                )
                assert real.status_code == unreal.status_code == 200, (operation.name, name, real.content)
                assert told(real, ours.ids) == told(unreal, nothing), (operation.name, name)
                assert real.json()["total"] == 0, (operation.name, name)
                asked += 1
    assert asked >= 10


def test_goes_on_with_anothers_cursor_in_ones_own_rows_only(api: Any, ours: Company, theirs: Company) -> None:
    factories.invoice(ours.rows["customer"])  # type: ignore[arg-type]
    link = api(ours.owner).get("/api/v1/invoices?limit=1").json()["next"]
    for reply in (api(theirs.owner).get(link), api(theirs.owner).get("/api/v1/invoices?include_total=true")):
        shown = reply.json()
        assert {row["customer_id"] for row in shown["data"]} <= {theirs.ids["customer"]}
    assert shown["total"] == 2


def test_takes_no_row_of_anothers_beside_ones_own(
    api: Any, ours: Company, theirs: Company, catalogue: dict[str, str]
) -> None:
    """Ids of ours inside requests about what is theirs."""
    client, own, price = api(theirs.owner), theirs.ids, catalogue["price"]

    def requests(those: Mapping[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
        items = [{"price_id": price}]
        unlisted = [{"price_id": those["unlisted_price"]}]
        method = those["payment-methods"]
        customer, organization = f"/customers/{own['customer']}", f"/organizations/{own['organization']}"
        return [
            ("post", "/subscriptions", {"customer_id": own["customer"], "items": items, "payment_method_id": method}),
            ("post", "/subscriptions", {"customer_id": own["customer"], "items": unlisted}),
            ("post", "/subscriptions/preview", {"customer_id": own["customer"], "items": unlisted}),
            ("post", f"/subscriptions/{own['subscriptions']}/preview", {"price_id": those["unlisted_price"]}),
            ("post", f"/subscriptions/{own['subscriptions']}/change-plan", {"price_id": those["unlisted_price"]}),
            ("post", "/payments", {"invoice_id": own["invoices"], "payment_method_id": method}),
            ("post", f"/invoices/{own['invoices']}/pay", {"payment_method_id": method}),
            ("patch", customer, {"default_payment_method_id": method}),
            ("get", f"{customer}/payment-methods/{method}", {}),
            ("post", f"{customer}/payment-methods/{method}/detach", {}),
            ("get", f"/prices/{those['unlisted_price']}", {}),
            ("patch", f"{organization}/members/{those['members']}", {"role": "admin"}),
            ("delete", f"{organization}/members/{those['members']}", {}),
            ("post", f"{organization}/api-keys/{those['api-keys']}/rotate", {}),
            ("post", f"{organization}/api-keys/{those['api-keys']}/revoke", {}),
            ("post", f"{organization}/invitations/{those['invitations']}/revoke", {}),
        ]

    nothing = missing(ours)
    for (method, path, body), (_, same, other) in zip(requests(ours.ids), requests(nothing), strict=True):
        replies = []
        for address, content in ((path, body), (same, other)):
            headers = {"Idempotency-Key": new_id().hex}
            with undone():
                replies.append(getattr(client, method)(f"/api/v1{address}", content or None, headers=headers))
        assert told(replies[0], ours.ids) == told(replies[1], nothing), (method, path)
        assert replies[0].status_code in (400, 404), (method, path, replies[0].content)


@pytest.mark.parametrize(
    "who", ["anonymous", "revoked key", "expired key", "ended session", "expired session", "deactivated person"]
)
def test_lets_nobody_in_whose_proof_does_not_hold(
    who: str, api: Any, ours: Company, catalogue: dict[str, str], settings: Any
) -> None:
    client = api()
    if who.endswith("key"):
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
        redis.Redis.from_url(settings.REDIS_URL).flushdb()
    for operation in OPERATIONS:
        reply = ask(client, operation, {**ours.ids, **catalogue})
        assert reply.status_code == 401, (operation.name, reply.content)
        assert reply.headers["WWW-Authenticate"].startswith("Bearer"), operation.name


STAFF = frozenset({"staff"})
PEOPLE = frozenset(EVERYONE) | STAFF
_ADMINS, _BILLING = frozenset(ADMINS) | {"key"} | STAFF, frozenset(BILLING) | {"key"} | STAFF
# Who may do what; what is not named here everybody of the organisation may, and keys too.
HOLDERS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("audit_events_list", "audit_events_retrieve", "organizations_update"), _ADMINS),
    **{f"organizations_{kind}": _ADMINS for kind in ("members_update", "members_delete")},
    **{f"organizations_invitations_{verb}": _ADMINS for verb in ("list", "create", "revoke")},
    **{f"organizations_api_keys_{verb}": _ADMINS for verb in ("list", "create", "revoke", "rotate")},
    **dict.fromkeys(("organizations_teams_create", "teams_update", "teams_delete"), _ADMINS),
    **{f"teams_members_{verb}": _ADMINS for verb in ("create", "delete")},
    **{f"organizations_roles_{verb}": _ADMINS for verb in ("list", "create")},
    **{f"roles_{verb}": _ADMINS for verb in ("retrieve", "update", "delete")},
    **{f"roles_assignees_{verb}": _ADMINS for verb in ("list", "create", "retrieve", "delete")},
    "organizations_grantable_permissions_list": _ADMINS,
    **{f"shares_{verb}": _BILLING for verb in ("list", "create", "retrieve", "delete")},
    **{f"organizations_service_accounts_{verb}": _ADMINS for verb in ("list", "create")},
    **{f"service_accounts_{verb}": _ADMINS for verb in ("retrieve", "update", "deactivate", "reactivate")},
    **{f"customers_{verb}": _BILLING for verb in ("create", "update")},
    **{f"customers_payment_methods_{verb}": _BILLING for verb in ("create", "detach")},
    **{
        f"subscriptions_{verb}": _BILLING
        for verb in ("create", "change_plan", "cancel", "undo_cancel", "pause", "resume", "reactivate")
    },
    **dict.fromkeys(("invoices_pay", "payments_create"), _BILLING),
    **{f"invoices_{verb}": STAFF for verb in ("finalize", "void", "mark_uncollectible")},
    **{f"subscriptions_{verb}": STAFF for verb in ("suspend", "unsuspend")},
    **{f"{kind}_{verb}": STAFF for kind in ("products", "prices") for verb in ("create", "update")},
    "billing_entities_create": STAFF,
    "permissions_organizations_users_bulk": _ADMINS,
    **{
        f"permissions_{name}": STAFF
        for name in (
            "models_list",
            "models_create",
            "models_retrieve",
            "models_validate",
            "models_diff",
            "tuples_list",
            "tuples_write",
            "changes_list",
            "expand",
            "explain",
            "list_users",
        )
    },
    **{
        f"webhooks_endpoints_{verb}": _ADMINS
        for verb in (
            *("list", "create", "retrieve", "update", "delete", "rotate_secret", "enable", "disable"),
            *("send_test", "recover"),
        )
    },
    **{f"webhooks_deliveries_{verb}": _ADMINS for verb in ("list", "retrieve", "replay")},
    **dict.fromkeys(("refunds_create", "billing_metrics_retrieve", "jobs_replay", "jobs_discard"), STAFF),
    **dict.fromkeys(("jobs_retrieve",), frozenset({Role.OWNER}) | STAFF),  # who asked for it
    **dict.fromkeys(("ai_questions_retrieve", "ai_questions_feedback"), frozenset({Role.OWNER})),  # who asked, no staff
    **dict.fromkeys(("me_retrieve", "me_update", "invitations_accept", "organizations_create"), PEOPLE),
    **dict.fromkeys(("notifications_list", "notifications_summary", "notifications_mark_all_read"), PEOPLE),
    **{f"notifications_preferences_{verb}": PEOPLE for verb in ("retrieve", "update")},
    **{
        f"notifications_{verb}": frozenset({Role.OWNER}) for verb in ("retrieve", "mark_read", "mark_unread", "archive")
    },
    **dict.fromkeys(("auth_logout", "auth_password_change", "auth_sessions_list"), PEOPLE),
    **dict.fromkeys(("auth_sessions_destroy_others", "streams_tickets_create"), PEOPLE),
    **dict.fromkeys(("auth_sessions_delete",), frozenset({Role.OWNER})),  # one's own
}
_IN_EVERY_KEYS_REACH = {  # without any scope on it
    "organizations_list", "organizations_retrieve", "products_list", "products_retrieve", "prices_list",
    "prices_retrieve", "jobs_list", "billing_entities_list", "billing_entities_retrieve",
    "webhooks_event_types_list", "permissions_check", "permissions_batch_check",
    "permissions_list_objects",
}  # fmt: skip


@pytest.mark.parametrize("who", [*Role, "key", "staff"])
def test_lets_each_role_do_what_is_its_own_and_nothing_else(
    who: str, api: Any, ours: Company, catalogue: dict[str, str], staff: User
) -> None:
    if who == "key":
        client = api().carry(key_of(ours.organization, ours.owner)[1])
    elif who == "staff":
        client = api(staff)
    else:
        client = api(ours.owner if who == Role.OWNER else with_role(ours.organization, Role(who)))
    wrong = []
    for operation in OPERATIONS:
        reply = ask(client, operation, {**ours.ids, **catalogue})
        may = who in HOLDERS.get(operation.name, PEOPLE | {"key"})
        did = reply.status_code not in (401, 403, 404)
        if may != did or reply.status_code >= 500:
            wrong.append((operation.name, reply.status_code, reply.content[:300]))
    assert not wrong


def test_gives_a_key_with_other_scopes_nothing_of_what_it_does_not_name(
    api: Any, ours: Company, catalogue: dict[str, str]
) -> None:
    client = api().carry(key_of(ours.organization, ours.owner, "audit.personal.read")[1])
    wrong = []
    for operation in OPERATIONS:
        reply = ask(client, operation, {**ours.ids, **catalogue})
        if (reply.status_code < 300) != (operation.name in _IN_EVERY_KEYS_REACH):
            wrong.append((operation.name, reply.status_code, reply.content[:300]))
    assert not wrong
