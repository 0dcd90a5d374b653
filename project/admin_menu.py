"""The admin's menu: by task, in the order of a working day. Badges are figures that somebody should act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from accounts.admin.permission_parts import WHAT_IF_NEEDS, WHY_NEEDS
from core.access import allows
from core.admin.entities import Site
from project.admin_badges import badges


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu: `model` is "app_model" of the list that it opens, `page` the name of a page instead;
    `badge` names a figure of `project.admin_badges`. A list of what the staff member may not see is
    left out, and a page when one of its `permissions` is lacking."""

    title: str
    icon: str
    model: str
    query: str = ""
    badge: str = ""
    page: str = ""
    permissions: tuple[str, ...] = ()


MENU: Final[tuple[tuple[str, tuple[Item, ...]], ...]] = (
    (
        "Customers",
        (
            Item("Customers", "groups", "billing_customer"),
            Item("Subscriptions", "autorenew", "billing_subscription"),
            Item("Organisations", "domain", "accounts_organization"),
            Item("People", "person", "accounts_user"),
        ),
    ),
    (
        "Money",
        (
            Item("Invoices", "receipt_long", "billing_invoice"),
            Item("Payments", "credit_card", "billing_payment", badge="failed_payments"),
            Item("Refunds", "undo", "billing_refund"),
            Item("Ledger", "account_balance", "billing_ledgerentry"),
        ),
    ),
    (
        "Catalogue",
        (
            Item("Products", "inventory_2", "billing_product"),
            Item("Prices", "sell", "billing_price"),
        ),
    ),
    (
        "Permissions",
        (
            Item("Groups of staff", "shield_person", "auth_group"),
            Item("Why", "help", "", page="accounts_permission_why", permissions=WHY_NEEDS),
            Item("What if", "science", "", page="accounts_permission_what_if", permissions=WHAT_IF_NEEDS),
            Item("Tuples", "account_tree", "accounts_relationtuple"),
            Item("Models", "schema", "accounts_permissionmodel"),
        ),
    ),
    (
        "Operations",
        (
            Item("Audit log", "history", "audit_event"),
            Item("Jobs", "bolt", "core_job"),
            Item("Dead letters", "report", "core_job", query="state__exact=dead", badge="dead_letters"),
            Item("Exports", "download", "core_export"),
            Item("Schedules", "schedule", "core_schedule"),
            Item("Webhook endpoints", "webhook", "notifications_webhookendpoint"),
            Item("Webhook deliveries", "outbox", "notifications_webhookdelivery"),
            Item("Notifications", "notifications", "notifications_notification"),
            Item("E-mails", "mail", "notifications_mail"),
        ),
    ),
)


def menu(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu as Unfold wants it; lists that do not exist in this installation are left out."""
    figures = badges()
    groups: list[dict[str, Any]] = [
        {
            "items": [
                {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")},
                {"title": "Assistant", "icon": "auto_awesome", "link": reverse("admin:assistant")},
            ]
        }
    ]
    for title, items in MENU:
        lines = [line for item in items if (line := _line(request, item, figures)) is not None]
        if lines:
            groups.append({"title": title, "items": lines})
    return groups


def _line(request: HttpRequest, item: Item, figures: dict[str, int]) -> dict[str, Any] | None:
    try:
        address = reverse(f"admin:{item.page or f'{item.model}_changelist'}")
    except NoReverseMatch:
        return None
    if not _is_for(request, item):
        return None
    number = figures.get(item.badge, 0) if item.badge else 0
    is_here = request.path.startswith(address) and (bool(item.page) or not _is_page(request.path))
    if is_here and item.model == "core_job":
        is_here = (
            (item.query in request.GET.urlencode())
            if item.query
            else "state__exact=dead" not in request.GET.urlencode()
        )
    return {
        "title": item.title,
        "icon": item.icon,
        "link": f"{address}?{item.query}" if item.query else address,
        "active": is_here,
        **({"badge": f"{min(number, 999)}{'+' if number > 999 else ''}", "badge_variant": "danger"} if number else {}),
    }


def _is_for(request: HttpRequest, item: Item) -> bool:
    if item.page:
        actor = cast(Site, admin.site).actor_of(request)
        return all(allows(actor, permission) for permission in item.permissions)
    return bool(
        admin.site.get_model_admin(apps.get_model(item.model.replace("_", ".", 1))).has_view_permission(request)
    )


def _is_page(path: str) -> bool:
    """Whether a path is that of a page with a line of its own, though it lies below a list's."""
    pages = (item.page for _, items in MENU for item in items if item.page)
    return path in {reverse(f"admin:{page}") for page in pages}
