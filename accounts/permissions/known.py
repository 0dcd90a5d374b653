"""What rows say by themselves, so that no tuple holds it: brought along with each question that names them.

An invoice's organisation, that a person is who they are, the groups of a staff member.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from accounts.actors import actor_of_user
from accounts.models import User
from accounts.permissions.language import Model
from accounts.permissions.names import entity_of
from accounts.permissions.product import COMPANY, ORGANIZATION, given_of_person, given_of_staff, shipped, type_of
from accounts.permissions.tuples import Object, Subject, Tuple, allows
from core.models import Entity

_STAFF: Final = User.objects.filter(is_staff=True, is_active=True).prefetch_related("groups")
_OF_STAFF: Final = frozenset({COMPANY.partition(":")[0], "staff_group"})


def given_about(model: Model, *questions: tuple[str, str]) -> tuple[Tuple, ...]:
    """Return what the product itself brings along when it asks (`user:<id>`, `invoice:<id>`) each, as far as `model`
    allows it; nothing for what are no rows of ours. A query for each kind of thing that is asked about, and two for
    staff."""
    targets: dict[type[Entity], set[UUID]] = defaultdict(set)
    for _, target in questions:
        kind, number = _row(target)
        if kind is not None and number is not None:
            targets[kind].add(number)
    people = {number for subject, _ in questions for kind, number in [_row(subject)] if kind is User and number}
    found: list[Tuple] = [one for number in targets.get(User, ()) for one in given_of_person(number)]
    for entity, numbers in targets.items():
        found += _belonging(entity, numbers)
    staff = _STAFF.filter(pk__in=people) if people else ()
    for person in staff:
        found += given_of_staff(actor_of_user(person))
    return tuple(one for one in dict.fromkeys(found) if allows(model, one))


def given_towards(model: Model, target: str) -> tuple[Tuple, ...]:
    """Return what the product itself brings along when it asks who has a relation to `target`: of the company and of a
    group of staff also who is staff, which takes two queries."""
    found = given_about(model, ("", target))
    if target.partition(":")[0] not in _OF_STAFF:
        return found
    staff = dict.fromkeys(one for person in _STAFF.all() for one in given_of_staff(actor_of_user(person)))
    return (*found, *(one for one in staff if allows(model, one)))


def _belonging(entity: type[Entity], numbers: Iterable[UUID]) -> Iterator[Tuple]:
    """To which organisation each of some rows belongs, by its own word."""
    path, kind = entity.organization_path, type_of(entity)
    if path is None or kind == ORGANIZATION or shipped().relation(kind, ORGANIZATION) is None:
        return
    for number, organization_id in entity._default_manager.filter(pk__in=numbers).values_list("pk", path):
        if organization_id is not None:
            yield Tuple(Object(kind, str(number)), ORGANIZATION, Subject(ORGANIZATION, str(organization_id)))


def _row(text: str) -> tuple[type[Entity] | None, UUID | None]:
    kind, _, key = text.partition(":")
    entity = entity_of(kind)
    try:
        return entity, UUID(key.partition("#")[0])
    except ValueError:
        return entity, None
