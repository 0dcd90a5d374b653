"""What of an event is sealed: all of it, as canonical JSON (RFC 8785) behind one byte that tells the version."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import rfc8785

from audit import merkle
from audit.canonical import moment
from audit.models import Event

VERSION = b"\x01"


def content(event: Event) -> dict[str, Any]:
    """Return the sealed fields of an event. Personal fields stand in it encrypted. Never changes within a VERSION."""
    return {
        "id": str(event.id),
        "type": event.type,
        "schema_version": event.schema_version,
        "occurred_at": moment(event.occurred_at),
        "actor_type": event.actor_type,
        "actor_id": _text(event.actor_id),
        "on_behalf_of_type": event.on_behalf_of_type,
        "on_behalf_of_id": _text(event.on_behalf_of_id),
        "organization_id": _text(event.organization_id),
        "subject_type": event.subject_type,
        "subject_id": str(event.subject_id),
        "before": event.before,
        "after": event.after,
        "data": event.data,
        "context": event.context,
        "command_id": _text(event.command_id),
    }


def leaf_of(event: Event) -> bytes:
    """Return the hash of the event's leaf."""
    return merkle.leaf_hash(VERSION + canonical(content(event)))


def canonical(value: Any) -> bytes:
    """Return JSON without floats as RFC 8785 writes it.

    Python's own encoder (ten times as fast) writes the same bytes as long as all is ASCII: only then do its order of
    keys (by code point) and that of the RFC (by UTF-16 unit) surely agree.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() if text.isascii() else rfc8785.dumps(value)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
