"""Publishing the help pages: what stands in docs/ of this version becomes what can be found and cited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ai import events
from ai.help import markdown
from ai.models import HelpPage
from ai.permissions import HELP_PAGE_PUBLISH
from core.access import require
from core.actor import Actor
from core.commands import command
from core.events import Entry, EventType, record_many

_SHOWN = ("page", "anchor", "title", "page_title", "body")


@dataclass(frozen=True, slots=True)
class Published:
    """How many sections are new, changed, gone and as they were."""

    published: int = 0
    updated: int = 0
    withdrawn: int = 0
    unchanged: int = 0


@command("ai.help_page.publish")
def publish(*, actor: Actor, now: datetime) -> Published:
    """Bring the sections in line with docs/. A section that has not changed keeps its version; called again nothing
    happens. Events: `ai.help_page.published`, `.updated` or `.withdrawn` for each section that differs; the index
    follows them."""
    require(actor, HELP_PAGE_PUBLISH.name)
    known = {row.pk: row for row in HelpPage.objects.select_for_update().order_by("pk")}
    entries: list[Entry] = []

    def note(event: EventType, row: HelpPage) -> None:
        facts = {"page": row.page, "anchor": row.anchor}
        entries.append(Entry(event, actor=actor, subject=row, data=facts, occurred_at=now))

    sections = {section.id: section for section in markdown.sections()}
    for identifier, section in sorted(sections.items()):
        row = known.get(identifier)
        fields = {name: getattr(section, name) for name in _SHOWN}
        if row is None:
            note(events.HELP_PAGE_PUBLISHED, HelpPage.objects.create(id=identifier, **fields))
        elif any(getattr(row, name) != value for name, value in fields.items()):
            for name, value in fields.items():
                setattr(row, name, value)
            row.save()
            note(events.HELP_PAGE_UPDATED, row)
    for identifier in sorted(known.keys() - sections.keys()):
        note(events.HELP_PAGE_WITHDRAWN, known[identifier])
    HelpPage.objects.filter(pk__in=known.keys() - sections.keys()).delete()
    record_many(entries)
    new, changed, gone = (sum(entry.event is event for entry in entries) for event in _EVENTS)
    return Published(new, changed, gone, len(sections) - new - changed)


_EVENTS = (events.HELP_PAGE_PUBLISHED, events.HELP_PAGE_UPDATED, events.HELP_PAGE_WITHDRAWN)
