"""Objects and subjects as the API names them: what is ours goes by its public id (`organization:org_01h4…`).

Tuples hold UUIDs. Both forms are taken, the public one is shown, so that what one route answers another route takes.
Types of which we keep no rows (those that a company adds) have ids of their own, which pass unchanged.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from accounts.permissions.faults import Code, Refused
from accounts.permissions.language.model import Model
from accounts.permissions.tuples import Tuple
from core import ids
from core.models import Entity, entities_by_prefix, entities_by_type

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


def typed(model: Model, text: str) -> str:
    """Return a public id that stands alone (`usr_…`, `tem_…#member`) with its type; anything else as it is."""
    key, _, _ = text.partition("#")
    try:
        entity = None if ":" in key else entities_by_prefix.get(ids.split(key)[0])
    except ids.MalformedId:
        return text
    kinds = model.types if entity is not None else ()
    return next((f"{kind}:{text}" for kind in kinds if entity_of(kind) is entity), text)


def check_ids(one: Tuple) -> None:
    """Raise Refused (2000) for a public id in a tuple that is kept which is cut, misspelt or of another kind of thing:
    it would be taken for an id of its own, and never be that of a row."""
    for member, place in (("user", one.subject), ("object", one.object)):
        entity = entity_of(place.type)
        if entity is not None and _is_public(place.id, entity):
            form = f"the id of '{place.type}' is of the form '{entity.id_prefix}_…'"
            raise Refused(Code.VALIDATION, f"'{place}' names nothing: {form}.", member=member)


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


def _is_public(key: str, entity: type[Entity]) -> bool:
    if key.startswith(f"{entity.id_prefix}_"):
        return True
    try:
        return ids.split(key)[0] in entities_by_prefix
    except ids.MalformedId:
        return False


def entity_of(kind: str) -> type[Entity] | None:
    """Return the table whose rows are the objects of a type; None for a type of which we keep none."""
    return entities_by_type.get(_KEPT_AS.get(kind, kind.replace("_", "")))
