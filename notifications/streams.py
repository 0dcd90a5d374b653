"""The live stream "notifications": what a person is told, and what becomes of it, as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from accounts.models import User
from core import ids
from core.errors import Forbidden, InvalidInput
from core.streams import Feed, Message, Reader, in_thread, stream
from notifications.api.inbox_serializers import document
from notifications.selectors import changes
from notifications.selectors.inbox import Readable, is_person

_HIGHEST = 2**63 - 1


def may_read(reader: Reader) -> None:
    """People read their own inbox. Raises Forbidden for keys, and for whoever names somebody else; InvalidInput for a
    position that is none."""
    if not is_person(reader.actor):
        raise Forbidden("Only people have notifications.")
    named = reader.parameters.get("person_id")
    if named is not None and named != ids.encode(User.id_prefix, _person(reader)):
        raise Forbidden("You can only read your own notifications.")
    if reader.last_event_id is not None:
        _position(reader.last_event_id)


@stream("notifications", check=may_read, parameters=("person_id",))
async def notifications(reader: Reader) -> AsyncIterator[Message]:
    """First `ready`, with the position from which the stream goes on; then each notification that is new or was marked,
    whole and as it stands, with the position as its id. Who resumes misses nothing and gets nothing twice."""
    person_id = _person(reader)
    latest = await in_thread(changes.position_of, person_id)
    after = latest if reader.last_event_id is None else _position(reader.last_event_id)
    # A position that was never reached comes from before a restore of the database: begin anew, and say so.
    is_reset = after > latest
    after = latest if is_reset else after
    yield Message(id=str(after), event="ready", data={"is_reset": is_reset})
    async for message in _feed.follow(person_id, after):
        yield message


def _read(positions: Mapping[UUID, int]) -> dict[UUID, list[tuple[int, Message | None]]]:
    return {
        person_id: [(position, None if one is None else _message(one)) for position, one in rows]
        for person_id, rows in changes.behind(positions).items()
    }


_feed: Feed[UUID] = Feed(_read, channel=changes.channel_of)


def _message(one: Readable) -> Message:
    return Message(id=str(one.row.position), event="notification", data=document(one))


def _person(reader: Reader) -> UUID:
    assert reader.actor.id is not None
    return reader.actor.id


def _position(text: str) -> int:
    """Return the position that an event's id names. Raises InvalidInput."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _HIGHEST:
        return int(text)
    raise InvalidInput.at("?last_event_id", "The ids of this stream are whole numbers.", "invalid")
