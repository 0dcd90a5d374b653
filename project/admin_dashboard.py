"""What staff see first: the business in figures and charts, what needs somebody, and what happened last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, cast

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest

from billing.models import Customer, Payment, Subscription
from billing.money_states import TransferStatus
from billing.selectors import series
from billing.selectors.metrics import WINDOW, Metrics, metrics
from core import cache, clock
from core.access import allows
from core.admin import Empty, Section
from core.admin.entities import Site, shown_to
from core.admin.html import id_link, link, list_url, moment, money
from core.models import Job, JobState
from core.money import exponent
from project import admin_timeline
from project.admin_menu import menu

ROWS: Final = 6
LATEST: Final = 8
DAYS: Final = 30

EMPTY = Empty(
    "No customers yet: import them",
    "Bring the customers and running subscriptions you have from a CSV file; a small mapping file says which column is "
    "what. Add --dry-run first to see what would happen.",
    "python3 manage.py import_customers FILE --mapping MAPPING",
    "groups",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line (or colour of bars) of a chart; `color` is a CSS variable."""

    label: str
    values: Sequence[float]
    color: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart as `admin.js` draws it; `unit` is a currency when the values are amounts in major units."""

    title: str
    type: str
    labels: Sequence[str]
    series: Sequence[Line]
    unit: str = ""
    is_wide: bool = False
    empty: str = "Nothing to show yet."
    note: str = ""

    def as_kept(self) -> dict[str, Any]:
        """Return what the page needs: the words around the chart, and `payload` for the script that draws it."""
        lines = [{"label": one.label, "values": list(one.values), "color": one.color} for one in self.series]
        payload = {"type": self.type, "labels": list(self.labels), "unit": self.unit, "series": lines}
        return {
            "title": self.title,
            "series": [{"label": one.label, "color": one.color} for one in self.series],
            "is_wide": self.is_wide,
            "empty": self.empty,
            "note": self.note,
            "has_values": any(any(line.values) for line in self.series),
            "payload": json.dumps(payload),
        }


@dataclass(frozen=True, slots=True)
class Card:
    """One figure at the head of the dashboard, and where it leads."""

    label: str
    value: object
    note: str = ""
    tone: str = ""
    of: str = ""
    query: str = ""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add figures, charts, what needs somebody and the latest events to the dashboard's context."""
    now = clock.now()
    shown = cache.remember("figure", "admin:dashboard:cards", lambda: _shown(now))
    site = cast(Site, admin.site)
    actor = site.actor_of(request)
    sees_figures, sees_events = (allows(actor, one) for one in ("billing.metrics.view", "audit.event.read"))
    name = request.user.get_short_name()  # type: ignore[union-attr]
    has_customers = shown["has_customers"]
    return {
        **context,
        "title": "Dashboard",
        "greeting": f"Welcome back, {name}",
        "summary": f"{now:%A}, {now.day} {now:%B %Y}. Churn, new and failed look back 30 days.",
        "figures": [_linked(card) for card in shown["cards"]] if sees_figures else [],
        "charts": shown["charts"] if has_customers and sees_figures else [],
        "empty": None if has_customers else EMPTY,
        "sections": shown_to(site, request, [_failed(), _newest()] if has_customers else []),
        "sees_events": sees_events,
        "sees_nothing": not sees_figures and len(menu(request)) == 1,
        "timeline": admin_timeline.latest(limit=LATEST) if sees_events else [],
        "events_url": admin_timeline.events_url() if sees_events else "",
    }


def _linked(card: dict[str, Any]) -> dict[str, Any]:
    """Cards are kept for everybody; where one leads depends on who reads."""
    return {**card, "url": list_url(apps.get_model(card["of"]), card["query"])}


def _shown(now: datetime) -> dict[str, Any]:
    """Ask for all figures and put them into the shape in which they are kept (JSON-ready)."""
    figures = _figures(now)
    return {
        "has_customers": figures["has_customers"],
        "cards": [asdict(card) for card in _cards(figures)],
        "charts": [chart.as_kept() for chart in _charts(figures)],
    }


def _figures(now: datetime) -> dict[str, Any]:
    return {
        "has_customers": Customer.objects.exists(),
        "metrics": metrics(now=now),
        "revenue": series.revenue_by_month(now=now),
        "started": series.started_by_month(now=now),
        "ended": series.ended_by_month(now=now),
        "unknown_ends": series.unknown_ends(),
        "payments": series.payments_by_day(now=now, days=DAYS),
        "dead": Job.objects.filter(state=JobState.DEAD).order_by()[:1000].count(),
    }


def _cards(figures: dict[str, Any]) -> list[Card]:
    now: Metrics = figures["metrics"]
    amounts = sorted(now.monthly_recurring_revenue, key=lambda amount: -amount.minor)
    others = ", ".join(amount.format() for amount in amounts[1:])
    rate, dead = now.churn.rate, figures["dead"]
    subscriptions = Subscription._meta.label
    return [
        Card(
            "Monthly recurring revenue",
            amounts[0].format() if amounts else "–",
            f"and {others}" if others else _change(figures),
            of=subscriptions,
            query="status__exact=active",
        ),
        Card("Active customers", f"{now.active_customers:,}", of=Customer._meta.label),
        Card(
            "Active subscriptions",
            f"{now.active_subscriptions:,}",
            f"{now.new_subscriptions:,} new",
            of=subscriptions,
            query="status__exact=active",
        ),
        Card(
            "Churn",
            f"{float(100 * rate):.1f} %" if rate is not None else "–",
            f"{now.churn.ended:,} of {now.churn.at_start:,} ended",
            of=subscriptions,
            query="status__exact=canceled",
        ),
        Card(
            "Failed payments",
            f"{now.failed_payments:,}",
            f"in {WINDOW.days} days",
            "danger" if now.failed_payments else "",
            Payment._meta.label,
            "status__exact=failed",
        ),
        Card(
            "Dead letters",
            f"{dead:,}",
            "wait for a decision" if dead else "all jobs are well",
            "danger" if dead else "",
            Job._meta.label,
            "state__exact=dead",
        ),
    ]


def _change(figures: dict[str, Any]) -> str:
    """How the revenue of the one currency moved since the end of last month."""
    months = next(iter(figures["revenue"].values()), None)
    if months is None or len(months.values) < 2 or not months.values[-2]:
        return ""
    moved = 100 * (months.values[-1] - months.values[-2]) / months.values[-2]
    return f"{moved:+.1f} % since last month" if abs(moved) >= 0.05 else "as last month"


def _charts(figures: dict[str, Any]) -> list[Chart]:
    started, ended, payments = figures["started"], figures["ended"], figures["payments"]
    months = [f"{first:%b %Y}" for first in started.firsts]
    revenue = sorted(figures["revenue"].items(), key=lambda pair: -pair[1].values[-1])
    unknown = figures["unknown_ends"]
    note = f"without {unknown:,} that ended on a day nobody knows" if unknown else ""
    charts = [
        Chart(
            f"Monthly recurring revenue, {currency}",
            "line",
            months,
            [Line("MRR", [value / 10 ** exponent(currency) for value in one.values], "--color-primary-500")],
            currency,
            is_wide=len(revenue) == 1,
            empty="No subscription counts into revenue yet.",
            note=note,
        )
        for currency, one in revenue
    ]
    return [
        *charts,
        Chart(
            "Subscriptions begun and ended",
            "bar",
            months,
            [Line("Begun", started.values, "--color-primary-500"), Line("Ended", ended.values, "--ch-bar-danger")],
            empty="No subscription began or ended within a year.",
        ),
        Chart(
            "Payments by day",
            "bar",
            [f"{day.day} {day:%b}" for day in payments.days],
            [
                Line("Succeeded", payments.succeeded, "--color-primary-500"),
                Line("Failed", payments.failed, "--ch-bar-danger"),
            ],
            empty="No payment was made within 30 days. The next renewal makes invoices and collects them.",
        ),
    ]


def _failed() -> Section:
    rows = Payment.objects.filter(status=TransferStatus.FAILED).select_related("customer").order_by("-id")[:ROWS]
    return Section(
        "Payments that failed",
        ("Payment", "Customer", "Amount", "Why", "Made"),
        [
            (
                id_link(one),
                link(one.customer),
                money(one.amount_minor, one.currency),
                one.failure_code.replace("_", " "),
                moment(one.created_at),
            )
            for one in rows
        ],
        list_url(Payment, "status__exact=failed"),
        "None: every payment that was made has come in.",
        "credit_card_off",
        Payment,
    )


def _newest() -> Section:
    rows = Customer.objects.select_related("organization").order_by("-id")[:ROWS]
    return Section(
        "Newest customers",
        ("Name", "E-mail", "Organisation", "Since"),
        [(link(one), one.email or "–", link(one.organization), moment(one.created_at)) for one in rows],
        list_url(Customer),
        icon="groups",
        of=Customer,
    )
