"""Objects and subjects as the API names them: what is ours goes by its public id (`organization:org_01h4…`).

Tuples hold UUIDs. Both forms are taken, the public one is shown, so that what one route answers another route takes.
Types of which we keep no rows (those that a company adds) have ids of their own, which pass unchanged.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from core import ids
from core.models import Entity, entities_by_type

_UUID_CHARACTERS = 36
_NAMED = re.compile(r"[^\s:#@()']+:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEPT_AS = {"role": "customrole"}  # types that are called otherwise than the rows behind them


def inward(text: str) -> str:
    """Return `text` (`type:id`, `type:id#relation`) as tuples hold it."""
    kind, _, rest = text.partition(":")
    entity = entity_of(kind)
    if entity is None:
        return text
    key, mark, relation = rest.partition("#")
    try:
        return f"{kind}:{ids.decode(entity.id_prefix, key)}{mark}{relation}"
    except ids.MalformedId:
        return text


def outward(text: str) -> str:
    """Return `text` as the API shows it."""
    kind, _, rest = text.partition(":")
    entity = entity_of(kind)
    key, mark, relation = rest.partition("#")
    if entity is None or len(key) != _UUID_CHARACTERS:
        return text
    try:
        found = UUID(key)
    except ValueError:
        return text
    return f"{kind}:{ids.encode(entity.id_prefix, found)}{mark}{relation}" if str(found) == key else text


def outward_within(text: str) -> str:
    """Return a sentence in which objects and subjects stand, each as the API shows it."""
    return _NAMED.sub(lambda found: outward(found[0]), text)


def outward_all(value: Any) -> Any:
    """Return JSON with each text in it as the API shows it."""
    if isinstance(value, dict):
        return {member: outward_all(inner) for member, inner in value.items()}
    if isinstance(value, list):
        return [outward_all(inner) for inner in value]
    return outward(value) if isinstance(value, str) else value


def entity_of(kind: str) -> type[Entity] | None:
    """Return the table whose rows are the objects of a type; None for a type of which we keep none."""
    return entities_by_type.get(_KEPT_AS.get(kind, kind.replace("_", "")))
