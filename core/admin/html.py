"""Small pieces of HTML that all admin pages share: ids, links, states, amounts, moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from core.models import Entity
from core.money import Money

NOTHING: Final = "–"


class Shown(SafeString):
    """HTML that knows what it shows: an export writes the value, not its looks."""

    value: object = None


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link shows: the words, and the public id of the object ("" when it has none)."""

    text: str
    public_id: str


def shown(html: str, value: object) -> Shown:
    """Return `html`, which must be safe, with the value that it shows."""
    piece = Shown(html)
    piece.value = value
    return piece


# One word has one colour in the whole admin.
TONES: Final[dict[str, str]] = {
    **dict.fromkeys(("active", "paid", "succeeded", "yes", "enabled", "accepted", "verified"), "success"),
    **dict.fromkeys(("trialing", "scheduled", "running", "open", "processing", "queued", "published"), "info"),
    **dict.fromkeys(("past_due", "incomplete", "paused", "suspended", "pending", "retrying", "unknown"), "warning"),
    **dict.fromkeys(("unpaid", "failed", "dead", "declined", "uncollectible", "refused", "locked"), "danger"),
}


_opens: ContextVar[Callable[[type[Model]], bool] | None] = ContextVar("countinghouse_admin_opens", default=None)


@contextmanager
def links_to(opens: Callable[[type[Model]], bool]) -> Iterator[None]:
    """Inside the block only those kinds of things have an address that `opens` says the reader may open: what is
    written there leads nobody to a refusal."""
    token = _opens.set(opens)
    try:
        yield
    finally:
        _opens.reset(token)


def _is_open(model: type[Model]) -> bool:
    opens = _opens.get()
    return opens is None or opens(model)


def admin_url(obj: Model) -> str:
    """Return the address of the object's admin page, "" when it has none, or none for who reads (`links_to`)."""
    if not _is_open(type(obj)):
        return ""
    try:
        return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])
    except NoReverseMatch:
        return ""


def list_url(model: type[Model], query: str = "") -> str:
    """Return the address of the model's list, "" when it has none, or none for who reads (`links_to`). `query` is a
    query string without "?"."""
    if not _is_open(model):
        return ""
    try:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    except NoReverseMatch:
        return ""
    return f"{address}?{query}" if query else address


def identifier(public_id: str) -> Shown:
    """Return an id in short, monospaced, with a button that copies it whole. The end tells two ids apart."""
    prefix, _, suffix = public_id.partition("_")
    html = format_html(
        '<span class="ch-id" title="{}"><code>{}_…{}</code>'
        '<button type="button" class="ch-copy material-symbols-outlined" data-copy="{}" '
        'title="Copy the id" aria-label="Copy the id {}">content_copy</button></span>',
        public_id,
        prefix,
        suffix[-8:],
        public_id,
        public_id,
    )
    return shown(html, public_id)


def link(obj: Model | None, text: object = None) -> SafeString | str:
    """Return a link to the object's page, only its text where it has none."""
    if obj is None:
        return NOTHING
    words = text or str(obj)
    address = admin_url(obj)
    html = format_html('<a class="ch-link" href="{}">{}</a>', address, words) if address else escape(words)
    return shown(html, Linked(str(words), getattr(obj, "public_id", "")))


def id_link(obj: Entity | None) -> SafeString | str:
    """Return a link to the object by its short id, with the button that copies it."""
    if obj is None:
        return NOTHING
    address = admin_url(obj)
    if not address:
        return identifier(obj.public_id)
    prefix, _, suffix = obj.public_id.partition("_")
    html = format_html(
        '<a class="ch-link ch-id" href="{}" title="{}"><code>{}_…{}</code></a>',
        address,
        obj.public_id,
        prefix,
        suffix[-8:],
    )
    return shown(html, obj.public_id)


def state(word: object, tone: str | None = None) -> SafeString | str:
    """Return a state as a coloured label; its colour follows from the word unless `tone` names one
    (success, info, warning, danger, neutral)."""
    if word in (None, ""):
        return NOTHING
    words = str(word).replace("_", " ")
    html = format_html('<span class="ch-state ch-state--{}">{}</span>', tone or state_tone(word), words)
    return shown(html, str(word))


def state_tone(word: object) -> str:
    """Return the colour of a state: success, info, warning, danger or neutral."""
    return TONES.get(str(word), "neutral")


def money(minor: int | None, currency: str) -> SafeString | str:
    """Return an amount as people write it, set so that columns of figures line up."""
    if minor is None:
        return NOTHING
    amount = Money(minor, currency)
    return shown(format_html('<span class="ch-figure">{}</span>', amount.format()), amount)


def moment(value: datetime | date | None) -> SafeString | str:
    """Return a moment in short ("2 Mar 2026, 14:05"), whole in the title; a date without the time."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        local = timezone.localtime(value)
        words, whole = f"{local.day} {local:%b %Y, %H:%M}", local.isoformat(timespec="seconds")
    else:
        words, whole = f"{value.day} {value:%b %Y}", value.isoformat()
    return shown(format_html('<time class="ch-moment" datetime="{}" title="{}">{}</time>', whole, whole, words), value)
