"""What notifications do when something happened."""

from __future__ import annotations

from typing import Final

from audit.following import follower
from audit.models import Event
from core import clock
from notifications import declared  # noqa: F401  (the templates declare themselves)
from notifications.services import inbox, webhook_deliveries
from notifications.templates import templates

INBOX: Final = "notifications.inbox"
WEBHOOKS: Final = "notifications.webhooks"


@follower(INBOX, types=frozenset(templates), is_for_new=True)
def fill_inboxes(events: list[Event]) -> None:
    """Tell everybody whom these events concern; their mails are sent by jobs."""
    inbox.tell_of(events, now=clock.now())


@follower(WEBHOOKS)
def fan_out_webhooks(events: list[Event]) -> None:
    """Make deliveries of what organisations want to be told."""
    webhook_deliveries.fan_out(events, now=clock.now())
