"""Two organisations that have one of everything, and everybody who may ask for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from accounts.actors import actor_of_user
from accounts.models import ApiKey, Organization, Session, User
from accounts.permissions.language.printer import to_dsl
from accounts.permissions.product import shipped
from accounts.services import api_keys, custom_roles, invitations, memberships, service_accounts, shares, teams
from ai.services import questions
from audit.models import Event
from billing.models import BillingEntity, Customer, Invoice, PaymentMethod
from billing.services import payments, refunds
from core import ids, jobs
from core.access import Role
from core.actor import SYSTEM, Actor
from core.clock import now
from core.ids import new_id
from core.models import Entity, Job
from core.models.jobs import JobState
from notifications.models import Notification, WebhookDelivery
from notifications.services import inbox, webhook_endpoints
from notifications.states import DeliveryStatus
from tests.billing import factories
from tests.cast import PASSWORD, new_person
from tests.meta.who_may import SEEN_BY

EVERY_SCOPE = ("accounts.*", "ai.*", "audit.*", "billing.*", "notifications.*")


@dataclass(frozen=True)
class Company:
    """One organisation with one row of each kind, named as the addresses name them, and some in other states."""

    organization: Organization
    owner: User
    rows: Mapping[str, Entity | Event]
    texts: frozenset[str]

    @property
    def ids(self) -> dict[str, str]:
        return {name: row.public_id for name, row in self.rows.items()}

    @property
    def marks(self) -> frozenset[str]:
        """What betrays this company wherever it is read: ids in either form, names, addresses."""
        return self.texts | frozenset(self.ids.values()) | {str(row.pk) for row in self.rows.values()}

    def marks_unseen_by(self, who: str) -> frozenset[str]:
        """Return the marks of what somebody *of* the organisation may not see."""
        kinds = {kind for kind, seers in SEEN_BY.items() if who not in seers}
        return frozenset(self.rows[kind].public_id for kind in kinds)


def missing(company: Company) -> dict[str, str]:
    """Return ids as those of `company` that name nothing."""
    return {name: ids.encode(row.id_prefix, new_id()) for name, row in company.rows.items()}


def company(organization: Organization, owner: User, entity: BillingEntity) -> Company:
    """Fill `organization` with one of everything."""
    actor, slug = actor_of_user(owner), organization.slug
    customer = factories.customer(
        organization=organization, billing_entity=entity, name=f"Of {organization.name}", email=f"pay@{slug}.example"
    )
    member = memberships.create(
        actor=SYSTEM, organization=organization, user=new_person(f"in@{slug}.example"), role=Role.VIEWER
    )
    invitation = invitations.create(
        actor=actor, organization=organization, email=f"new@{slug}.example", role=Role.MEMBER, now=now()
    )
    key, _ = key_of(organization, owner)
    money = money_of(customer)
    rows: dict[str, Entity | Event] = {
        "organization": organization,
        "customer": customer,
        "payment-methods": PaymentMethod.objects.get(customer=customer),
        **subscriptions_of(customer),
        **money,
        "shares": shares.create(actor=actor, row=money["invoices"], recipient=member.user)[0],
        "unlisted_price": factories.price(is_listed=False),
        "members": member,
        "user": member.user,
        **given_in(organization, actor, member.user),
        "invitations": invitation,
        "api-keys": key,
        "sessions": Session.objects.create(user=owner, last_used_at=now(), expires_at=now() + timedelta(days=1)),
        "questions": questions.ask(actor=actor, text="Who are we?", operation_key=new_id().hex, now=now()),
        "jobs": jobs.enqueue("accounts.send_mail", {"private": "payload"}, actor=actor),
        "dead_job": dead_job(actor),
        "notifications": told(owner),
        **webhooks_of(organization, actor),
        "events": Event.objects.filter(subject_id=organization.pk).earliest("id"),
    }
    names = {organization.name, organization.slug, customer.name, key.lookup, owner.email, owner.name}
    addresses = {f"{box}@{slug}.example" for box in ("pay", "in", "new")} | {f"http://127.0.0.1:9/{slug}"}
    return Company(organization, owner, rows, frozenset(names | addresses) - {""})


def given_in(organization: Organization, actor: Actor, person: User) -> dict[str, Entity]:
    """A team with a member, a custom role that the team holds, and service accounts."""
    team = teams.create(actor=actor, organization=organization, name=f"Crew of {organization.slug}")
    member, _ = teams.add_member(actor=actor, team=team, member=person)
    role = custom_roles.create(
        actor=actor,
        organization=organization,
        name=f"Auditor of {organization.slug}",
        permissions=["accounts.api_key.view"],
    )
    assignment, _ = custom_roles.assign(actor=actor, role=role, recipient=team)
    account, inactive = (
        service_accounts.create(actor=actor, organization=organization, name=f"{name} of {organization.slug}")
        for name in ("Importer", "Former importer")
    )
    service_accounts.deactivate(actor=actor, account=inactive, now=now())
    return {
        "team": team,
        "teams": team,
        "team-members": member,
        "role": role,
        "roles": role,
        "role-assignees": assignment,
        "service-accounts": account,
        "inactive_service_account": inactive,
    }


def subscriptions_of(customer: Customer) -> dict[str, Entity]:
    """One for each command that wants another state."""
    return {
        "subscriptions": factories.subscription(customer),
        "paused_subscription": factories.subscription(customer, status="paused", paused_at=now()),
        "canceled_subscription": factories.subscription(customer, status="canceled", ended_at=now()),
        "ending_subscription": factories.subscription(customer, cancel_at_period_end=True, canceled_at=now()),
        "suspended_subscription": factories.subscription(customer, access="suspended", suspended_at=now()),
    }


def money_of(customer: Customer) -> dict[str, Entity]:
    """Invoices, payments and a refund."""
    paid, refundable = (
        payments.create(actor=SYSTEM, invoice=factories.invoice(customer), operation_key=new_id().hex, now=now())
        for _ in range(2)
    )
    draft = Invoice.objects.create(
        customer=customer, billing_entity_id=customer.billing_entity_id, currency=customer.currency, total_minor=500
    )
    return {
        "invoices": factories.invoice(customer),
        "draft_invoice": draft,
        "payments": paid,
        "refundable_payment": refundable,
        "refunds": refunds.create(actor=SYSTEM, payment=paid, operation_key=new_id().hex, now=now()),
    }


def dead_job(actor: Actor) -> Job:
    job = jobs.enqueue("accounts.send_mail", {"private": "payload"}, actor=actor)
    Job.objects.filter(pk=job.pk).update(state=JobState.DEAD, finished_at=now())
    return job


def told(person: User) -> Notification:
    row = inbox.tell(actor=SYSTEM, person=person, kind="members", subject="News", text="", unique=new_id().hex)
    assert row is not None
    return row


def webhooks_of(organization: Organization, actor: Actor) -> dict[str, Entity]:
    """An endpoint at which nobody listens, and one finished delivery."""
    endpoint, disabled = (
        webhook_endpoints.create(
            actor=actor,
            organization=organization,
            url=f"http://127.0.0.1:9/{organization.slug}",
            event_types=["billing.invoice.*"],
            now=now(),
        )[0]
        for _ in range(2)
    )
    webhook_endpoints.disable(actor=actor, endpoint=disabled, now=now())
    subject = {"type": "invoice", "id": ids.encode("inv", new_id())}
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint,
        organization=organization,
        event_id=new_id(),
        event_type="billing.invoice.paid",
        subject_type="invoice",
        subject_id=new_id(),
        payload={"id": "evt", "type": "billing.invoice.paid", "data": {"subject": subject, "data": {}}},
        status=DeliveryStatus.FAILED,
        finished_at=now(),
    )
    return {"endpoints": endpoint, "disabled_endpoint": disabled, "deliveries": delivery}


def key_of(organization: Organization, owner: User, *scopes: str) -> tuple[ApiKey, str]:
    return api_keys.create(
        actor=actor_of_user(owner),
        organization=organization,
        name="robot",
        scopes=scopes or EVERY_SCOPE,
        now=now(),
    )


def with_role(organization: Organization, role: Role) -> User:
    person = new_person(f"{role}@{organization.slug}.example")
    memberships.create(actor=SYSTEM, organization=organization, user=person, role=role)
    return person


SMALL_MODEL = "model\n  schema 1.1\n\ntype user\n"


def may_i(those: Mapping[str, str]) -> dict[str, str]:
    """A question to the permission engine."""
    return {"relation": "member", "object": f"organization:{those['organization']}"}


# What is sent to each operation that takes a body; `those` are ids by kind.
Those = Mapping[str, str]
BODIES: dict[str, Callable[[Those], dict[str, Any]]] = {
    "ai_ask": lambda those: {"question": "Who are we?"},
    "ai_questions_feedback": lambda those: {"feedback": "helpful"},
    "billing_entities_create": lambda those: {
        "legal_name": "Other",
        "country": "US",
        "default_currency": "USD",
        "invoice_prefix": "OTHER",
    },
    "auth_password_change": lambda those: {"current_password": PASSWORD, "new_password": "another horse entirely"},
    "customers_create": lambda those: {
        "name": "Mine",
        "organization_id": those["organization"],
        "billing_entity_id": those["billing-entities"],
    },
    "customers_payment_methods_create": lambda those: {"token": "tok_success"},
    "customers_update": lambda those: {"name": "Other", "default_payment_method_id": those["payment-methods"]},
    "invitations_accept": lambda those: {"token": "made up"},
    "invoices_mark_uncollectible": lambda those: {"reason": "Gone."},
    "invoices_pay": lambda those: {"payment_method_id": those["payment-methods"]},
    "invoices_void": lambda those: {"reason": "Wrong."},
    "me_update": lambda those: {"name": "Other"},
    "notifications_mark_all_read": lambda those: {},
    "notifications_preferences_update": lambda those: {"choices": []},
    "organizations_api_keys_create": lambda those: {"name": "key", "service_account_id": those["service-accounts"]},
    "organizations_create": lambda those: {"name": "Another"},
    "organizations_invitations_create": lambda those: {"email": "another@x.example", "role": "member"},
    "organizations_members_update": lambda those: {"role": "member"},
    "organizations_roles_create": lambda those: {"name": "Another", "permissions": ["billing.invoice.view"]},
    "organizations_service_accounts_create": lambda those: {"name": "Another", "role": "viewer"},
    "organizations_teams_create": lambda those: {"name": "Another"},
    "organizations_update": lambda those: {"name": "Other"},
    "payments_create": lambda those: {
        "invoice_id": those["invoices"],
        "payment_method_id": those["payment-methods"],
    },
    "permissions_batch_check": lambda those: {"checks": [may_i(those)]},
    "permissions_check": lambda those: may_i(those),
    "permissions_expand": lambda those: may_i(those),
    "permissions_explain": lambda those: {"user": "user:ann", **may_i(those)},
    "permissions_list_objects": lambda those: {"relation": "member", "type": "organization"},
    "permissions_list_users": lambda those: may_i(those),
    "permissions_models_create": lambda those: {"text": to_dsl(shipped())},
    "permissions_models_diff": lambda those: {"after": {"text": SMALL_MODEL}},
    "permissions_models_validate": lambda those: {"text": SMALL_MODEL},
    "permissions_organizations_users_bulk": lambda those: {
        "operation": "grant",
        "role": "viewer",
        "users": ["nobody@x.example"],
    },
    "permissions_tuples_write": lambda those: {"writes": [{"user": "user:ann", **may_i(those)}]},
    "prices_create": lambda those: {"amount_minor": 1, "currency": "USD", "product_id": those["product"]},
    "prices_update": lambda those: {"is_listed": True},
    "products_create": lambda those: {"name": "Other"},
    "products_update": lambda those: {"name": "Other"},
    "refunds_create": lambda those: {"payment_id": those["refundable_payment"]},
    "roles_assignees_create": lambda those: {"assignee_id": those["user"]},
    "roles_update": lambda those: {"description": "Other"},
    "service_accounts_update": lambda those: {"name": "Other"},
    "shares_create": lambda those: {"object": those["draft_invoice"], "with": those["user"]},
    "streams_tickets_create": lambda those: {"stream": "notifications"},
    "subscriptions_cancel": lambda those: {},
    "subscriptions_change_plan": lambda those: {"price_id": those["price"]},
    "subscriptions_create": lambda those: {
        "customer_id": those["customer"],
        "items": [{"price_id": those["price"]}],
        "payment_method_id": those["payment-methods"],
    },
    "subscriptions_pause": lambda those: {},
    "subscriptions_preview": lambda those: {"price_id": those["price"]},
    "subscriptions_preview_new": lambda those: {
        "customer_id": those["customer"],
        "items": [{"price_id": those["price"]}],
    },
    "subscriptions_suspend": lambda those: {"reason": "Unpaid."},
    "subscriptions_unsuspend": lambda those: {},
    "teams_members_create": lambda those: {"member_id": those["user"]},
    "teams_update": lambda those: {"name": "Other"},
    "webhooks_endpoints_create": lambda those: {
        "url": "http://127.0.0.1:9/another",
        "event_types": ["*"],
        "organization_id": those["organization"],
    },
    "webhooks_endpoints_recover": lambda those: {"since": "2026-01-01T00:00:00Z"},
    "webhooks_endpoints_rotate_secret": lambda those: {},
    "webhooks_endpoints_update": lambda those: {"description": "Other"},
}

# The row for which an operation is asked when the usual one does not stand as it takes it.
SUBJECTS: dict[str, dict[str, str]] = {
    "invoices_finalize": {"invoices": "draft_invoice"},
    "jobs_discard": {"jobs": "dead_job"},
    "jobs_replay": {"jobs": "dead_job"},
    "service_accounts_reactivate": {"service-accounts": "inactive_service_account"},
    "subscriptions_reactivate": {"subscriptions": "canceled_subscription"},
    "subscriptions_resume": {"subscriptions": "paused_subscription"},
    "subscriptions_undo_cancel": {"subscriptions": "ending_subscription"},
    "subscriptions_unsuspend": {"subscriptions": "suspended_subscription"},
    "webhooks_endpoints_enable": {"endpoints": "disabled_endpoint"},
}
# What a query must name.
QUERIES = {"search": "?q=some"}

__all__ = [
    "BODIES", "EVERY_SCOPE", "QUERIES", "SUBJECTS", "Company", "company", "key_of", "missing", "with_role",
]  # fmt: skip
