"""Which events are told, to whom, and where one goes on from there."""

from __future__ import annotations

from typing import Any

from django.urls import NoReverseMatch, reverse

from accounts.models import ApiKey, Invitation, Session, User
from notifications import audiences
from notifications.audiences import ADMINS, BILLING
from notifications.news import News, Personal
from notifications.states import DisabledReason
from notifications.templates import template

_OWN_MAILS = "notifications.send_mail"


def _page(app: str, kind: str) -> Any:
    """Return a function to the admin's page of what the event speaks of."""

    def address(news: News) -> str:
        try:
            return reverse(f"admin:{app}_{kind}_change", args=[news.event.subject_id])
        except NoReverseMatch:
            return ""

    return address


def _at(path: str) -> Any:
    """Return a function to the client program's page `path` of what the event speaks of."""
    return lambda news: f"{path}/{news.subject_id}"


# --- security: always told, at once ----------------------------------------------------------------------------------


def _is_new_device(news: News) -> bool:
    """Whether the person signed in before, and never with this program."""
    session = Session.objects.filter(pk=news.event.subject_id).first()
    if session is None:
        return False
    earlier = Session.objects.filter(user_id=session.user_id, pk__lt=session.pk)
    return earlier.exists() and not earlier.filter(user_agent=session.user_agent).exists()


def _sign_in(news: News) -> dict[str, Any]:
    person = next(iter(audiences.person(news)))
    device, place = news.data.get("user_agent") or "an unknown program", news.data.get("ip") or "an unknown address"
    return {"device": Personal(person, device), "place": Personal(person, place)}


template(
    "accounts.session.started",
    kind="security",
    audience=audiences.person,
    values=_sign_in,
    when=_is_new_device,
    url=lambda news: "/settings/sessions",
)
for _type in ("accounts.user.password_changed", "accounts.user.password_reset", "accounts.user.password_set"):
    template(_type, kind="security", audience=audiences.person, url=lambda news: "/settings/security")


# --- members ---------------------------------------------------------------------------------------------------------


def _name_of(person_id: Any) -> Personal | str:
    """Return how a person is called; staff are the company, and not persons, to those whom it serves."""
    person = User.objects.filter(pk=person_id).first()
    if person is None:
        return "Somebody"
    return "Our team" if person.is_staff else Personal(person.pk, person.get_full_name())


def _member(news: News) -> dict[str, Any]:
    role = str(news.find("role") or "member").replace("_", " ")
    return {"member": _name_of(news.key("user_id")), "role": role}


def _inviter(news: News) -> set[Any]:
    found = Invitation.objects.filter(pk=news.event.subject_id, invited_by__is_active=True)
    return set(found.values_list("invited_by_id", flat=True))


def _accepted(news: News) -> dict[str, Any]:
    invitation = Invitation.objects.filter(pk=news.event.subject_id).first()
    role = invitation.get_role_display().lower() if invitation else "member"
    return {"member": _name_of(news.event.actor_id), "role": role}


def _is_not_by_invitation(news: News) -> bool:
    """Of an invitation that was accepted its own event tells; whoever makes an organisation knows of it."""
    return audiences.asker(news) != audiences.person(news)


template(
    "accounts.invitation.accepted",
    kind="members",
    audience=audiences.all_of(_inviter, ADMINS),
    values=_accepted,
    url=lambda news: "/members",
    tells_actor=False,
)
template(
    "accounts.membership.created",
    kind="members",
    audience=audiences.all_of(ADMINS, audiences.person),
    values=_member,
    when=_is_not_by_invitation,
    url=lambda news: "/members",
    tells_actor=False,
)
template(
    "accounts.membership.removed",
    kind="members",
    audience=audiences.all_of(ADMINS, audiences.person),
    values=_member,
    url=lambda news: "/members",
    tells_actor=False,
)


# --- API keys --------------------------------------------------------------------------------------------------------


def _key(news: News) -> dict[str, Any]:
    key = ApiKey.objects.select_related("service_account").filter(pk=news.event.subject_id).first()
    name = key.name if key else news.find("name") or "a key"
    opens = ", ".join(key.scopes) if key else ""
    if key is not None and key.service_account is not None:
        opens = f"what the service account {key.service_account} may"
    return {"key": name, "scopes": opens, "by": _name_of(news.event.actor_id)}


for _type in ("accounts.api_key.created", "accounts.api_key.revoked"):
    template(_type, kind="api_keys", audience=ADMINS, values=_key, url=lambda news: "/settings/api-keys")


# --- money: billing is a stranger, known by the names and payloads of its events only --------------------------------


def _payment(news: News) -> dict[str, Any]:
    return {
        "amount": news.money(),
        "invoice": news.named("invoice_id", "invoice"),
        "failure": str(news.find("failure_code") or "").replace("_", " "),
    }


def _invoice(news: News) -> dict[str, Any]:
    return {"number": news.after.get("number") or news.subject_id, "amount": news.money("total_minor")}


def _refund(news: News) -> dict[str, Any]:
    reason = str(news.find("reason") or "").replace("_", " ")
    return {"amount": news.money(), "payment": news.named("payment_id", "payment"), "reason": reason}


def _subscription(news: News) -> dict[str, Any]:
    return {"subscription": news.subject_id, "until": str(news.find("current_period_end") or "")[:10]}


def _of_its_invoice(news: News) -> str:
    return f"/invoices/{news.named('invoice_id', 'invoice')}"


template("billing.payment.failed", kind="billing", audience=BILLING, values=_payment, url=_of_its_invoice)
template("billing.payment.succeeded", kind="receipts", audience=BILLING, values=_payment, url=_of_its_invoice)
template("billing.invoice.finalized", kind="receipts", audience=BILLING, values=_invoice, url=_at("/invoices"))
template("billing.refund.succeeded", kind="receipts", audience=BILLING, values=_refund, url=_at("/refunds"))
template(
    "billing.subscription.canceled", kind="billing", audience=BILLING, values=_subscription, url=_at("/subscriptions")
)
template(
    "billing.subscription.renewed", kind="receipts", audience=BILLING, values=_subscription, url=_at("/subscriptions")
)


# --- what was asked for, and what needs a hand -----------------------------------------------------------------------


def _export(news: News) -> dict[str, Any]:
    return {"name": str(news.find("name") or "The list"), "rows": news.find("rows") or 0}


def _endpoint(news: News) -> dict[str, Any]:
    reason = str(news.find("disabled_reason") or "")
    label = DisabledReason(reason).label if reason in DisabledReason.values else reason
    return {"address": str(news.find("url") or ""), "reason": label}


def _job(news: News) -> dict[str, Any]:
    code = str(news.find("code") or "").replace("_", " ")
    return {"job": str(news.find("kind") or ""), "attempts": news.find("attempts") or 0, "code": code}


def _job_and_hour(news: News) -> str:
    """A thousand jobs of one kind that fail in one hour are one matter."""
    return f"job-died:{news.find('kind')}:{news.event.occurred_at:%Y%m%dT%H}"


template(
    "core.export.completed",
    kind="exports",
    audience=audiences.all_of(audiences.asker, audiences.person),
    values=_export,
    url=lambda news: str(news.find("url") or ""),
)
template(
    "notifications.webhook_endpoint.disabled",
    kind="webhooks",
    audience=audiences.all_of(ADMINS, audiences.staff),
    values=_endpoint,
    url=lambda news: "/settings/webhooks",
    staff_url=_page("notifications", "webhookendpoint"),
    tells_actor=False,
)
template(
    "core.job.died",
    kind="operations",
    audience=audiences.staff,
    values=_job,
    url=_page("core", "job"),
    unique=_job_and_hour,
    # A mail about mail that cannot be sent would beget the next one.
    has_mail=lambda news: news.find("kind") != _OWN_MAILS,
)
