"""Who may do what: fills the port `core.access` with the permission engine, and decides nothing itself.

* A permission is asked of the organisation to which a thing belongs; of the company, when staff ask; of a person, when
  it is about what is theirs (themselves, their sessions).
* Whoever may do anything to things of a kind sees those of the organisation; what was shared with somebody, they see.
* What belongs to no organisation is for staff, save what is a person's own.
* The anonymous hold nothing and see nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from itertools import chain
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from accounts.models import Session, User
from accounts.permissions import asking
from accounts.permissions.language.model import Computed, Pair, leaves
from accounts.permissions.product import (
    COMPANY,
    ORGANIZATION,
    from_organization,
    given_of_person,
    given_of_staff,
    object_of,
    organization_of,
    shipped,
    subject_of,
    type_of,
)
from core import context
from core.access import EVERYTHING, NOTHING, Holders, Permission, Reach, Role
from core.actor import Actor, ActorType

_M = TypeVar("_M", bound=Model)
_VIEWER: Final = "viewer"  # of an organisation: any of its roles; of a thing: also with whom it was shared
_INSIDER: Final = "insider"  # of an organisation: its keys too


class RelationPolicy:
    """Answers by relations: a few questions to the engine, however many rows there are."""

    def allows(self, actor: Actor, permission: Permission, obj: Any) -> bool:
        subject = subject_of(actor)
        if subject is None:
            return False
        if actor.is_staff:
            return _staff_may(actor, subject, permission.name)
        owner_id = _person_behind(obj)
        if owner_id is not None:
            return _is_own(subject, permission.name, owner_id)
        organization_id = context.current().organization_id if obj is None else organization_of(obj)
        if organization_id is None or not _is_known(ORGANIZATION, permission.name):
            return False
        if asking.check(subject, permission.name, f"{ORGANIZATION}:{organization_id}"):
            return True
        return obj is not None and permission.name == f"{_noun(type(obj))}.view" and _is_shared(subject, obj)

    def sees(self, actor: Actor, obj: Model) -> bool:
        subject = subject_of(actor)
        if subject is None:
            return False
        if actor.is_staff:
            return _staff_see(actor, subject, type(obj))
        owner_id = _person_behind(obj)
        if owner_id is not None:
            return _is_own(subject, "accounts.user.view", owner_id)
        organization_id = organization_of(obj)
        if organization_id is None:
            return False
        seeing = _seeing(ORGANIZATION, type(obj))
        return asking.check(subject, seeing, f"{ORGANIZATION}:{organization_id}") or _is_shared(subject, obj)

    def visible(self, actor: Actor, queryset: QuerySet[_M]) -> QuerySet[_M]:
        subject = subject_of(actor)
        if subject is None:
            return queryset.none()
        if actor.is_staff:
            return queryset if _staff_see(actor, subject, queryset.model) else queryset.none()
        path = getattr(queryset.model, "organization_path", None)
        if path is None:
            return _own_rows(actor, queryset)
        seeing, viewing = (ORGANIZATION, _seeing(ORGANIZATION, queryset.model)), _viewing(type_of(queryset.model))
        found = asking.objects_by_relation(subject, [seeing, *viewing])
        places, shared = _ids(found[seeing]), _ids(one for pair in viewing for one in found[pair])
        is_bounded = path != "id" and actor.organization_id is None  # a key belongs to one organisation anyway
        chosen = context.current().organization_id if is_bounded else None
        rows = _in(path, places if chosen is None else places & {chosen})
        return queryset.filter(rows | Q(pk__in=shared) if shared else rows)

    def related(self, actor: Actor, queryset: QuerySet[_M], relation: str) -> QuerySet[_M]:
        """A relation to a row comes from tuples of the row, or `from organization`: from the organisation to which the
        row says that it belongs. Raises `LookupError` too where `and` or `but not` stands over what comes from there:
        the rows cannot be told by where they belong, and none may be shown that a `but not` takes away."""
        kind, subject = type_of(queryset.model), subject_of(actor)
        inherited = sorted((ORGANIZATION, one) for one in from_organization(asking.model(), kind, relation))
        if subject is None:
            return queryset.none()
        if actor.is_staff and any(_staff_may(actor, subject, one) for _, one in inherited):
            return queryset
        path = getattr(queryset.model, "organization_path", None)
        found = asking.objects_by_relation(subject, [(kind, relation), *inherited])
        rows = Q(pk__in=_ids(found[kind, relation]))
        if path is not None:
            rows |= _in(path, _ids(one for pair in inherited for one in found[pair]))
        return queryset.filter(rows)

    def reach(self, actor: Actor, permissions: Collection[Permission]) -> dict[str, Reach]:
        """Like `visible`: a key reaches the kinds of things on which it has any scope; a chosen organisation bounds;
        what was shared is reached wherever it belongs."""
        subject = subject_of(actor)
        if subject is None:
            return dict.fromkeys((each.name for each in permissions), NOTHING)
        if actor.is_staff:
            held = _held_by_staff(actor, subject, [each.name for each in permissions])
            return {each.name: EVERYTHING if each.name in held else NOTHING for each in permissions}
        holding = {each.name: (ORGANIZATION, _reaching(actor, each.name)) for each in permissions}
        viewing = {each.name: _viewing(_viewed(each.name)) for each in permissions}
        asked = {pair for pair in (*holding.values(), *chain(*viewing.values())) if _is_known(*pair)}
        found = {pair: _ids(objects) for pair, objects in asking.objects_by_relation(subject, sorted(asked)).items()}
        chosen = context.current().organization_id
        return {
            name: Reach(
                frozenset(place for place in found.get(pair, ()) if chosen in (None, place)),
                frozenset(chain.from_iterable(found[one] for one in viewing[name])),
            )
            for name, pair in holding.items()
        }

    def holders(self, permission: Permission) -> Holders:
        """Read off the shipped model: which roles of an organisation lead to the relation."""
        relation = shipped().relation(ORGANIZATION, permission.name)
        leading = _leading_to(ORGANIZATION, permission.name)
        return Holders(
            roles=frozenset(role for role in Role if role in leading),
            is_for_keys=relation is not None and any(one.type == "api_key" for one in relation.restrictions),
            is_for_staff=shipped().relation("company", permission.name) is not None,
        )


@cache
def _leading_to(kind: str, relation: str) -> frozenset[str]:
    """The relations to a thing of which every holder has `relation` to it too, itself among them, by the shipped model
    alone."""
    found, waiting = {relation}, [relation]
    while waiting:
        definition = shipped().relation(kind, waiting.pop())
        for leaf in leaves(definition.rewrite) if definition is not None else ():
            if isinstance(leaf, Computed) and leaf.relation not in found:
                found.add(leaf.relation)
                waiting.append(leaf.relation)
    return frozenset(found)


# staff


def _staff_may(actor: Actor, subject: str, relation: str) -> bool:
    """What an administrator holds follows from the model alone: no tuple needs to be read for it."""
    if actor.staff_groups is None:
        return "administrator" in _leading_to("company", relation)
    return _is_known("company", relation) and asking.check(subject, relation, COMPANY, given=given_of_staff(actor))


def _staff_see(actor: Actor, subject: str, model: type[Model]) -> bool:
    """Things of a kind that no permission names are seen by administrators."""
    return _staff_may(actor, subject, _seeing("company", model))


def _held_by_staff(actor: Actor, subject: str, names: Iterable[str]) -> set[str]:
    if actor.staff_groups is None:
        return {name for name in names if _staff_may(actor, subject, name)}
    asked = [name for name in names if _is_known("company", name)]
    answers = asking.check_many([(subject, name, COMPANY) for name in asked], given=given_of_staff(actor))
    return {name for name, answer in zip(asked, answers, strict=True) if answer is True}


# what is one's own


def _person_behind(obj: Any) -> UUID | None:
    """Whose own a thing is: theirs alone, whatever organisations they belong to."""
    if isinstance(obj, User):
        return obj.pk
    return obj.user_id if isinstance(obj, Session) else None


def _is_own(subject: str, relation: str, owner_id: UUID) -> bool:
    if not _is_known("user", relation):
        return False
    return asking.check(subject, relation, f"user:{owner_id}", given=given_of_person(owner_id))


def _own_rows(actor: Actor, queryset: QuerySet[_M]) -> QuerySet[_M]:
    if actor.type is ActorType.USER and issubclass(queryset.model, User):
        return queryset.filter(pk=actor.id)
    if actor.type is ActorType.USER and issubclass(queryset.model, Session):
        return queryset.filter(user_id=actor.id)
    return queryset.none()


# names


def _is_known(kind: str, relation: str) -> bool:
    return asking.model().relation(kind, relation) is not None


def _noun(model: type[Model]) -> str:
    return f"{model._meta.app_label}.{type_of(model)}"


def _seeing(kind: str, model: type[Model]) -> str:
    """The relation to an organisation, or to the company, by which things of a kind are seen there."""
    if type_of(model) == kind:
        return _INSIDER
    relation = f"{_noun(model)}.see"
    if _is_known(kind, relation):
        return relation
    return _VIEWER if kind == ORGANIZATION else "administrator"  # no permission names them


def _reaching(actor: Actor, permission: str) -> str:
    """By what a permission reaches things that are found outside of the tables: for a key, by any scope on them."""
    if actor.type is not ActorType.API_KEY or not _is_known(ORGANIZATION, permission):
        return permission
    seeing = permission.rpartition(".")[0] + ".see"
    return seeing if _is_known(ORGANIZATION, seeing) and _is_for_keys(permission) else permission


def _is_for_keys(permission: str) -> bool:
    relation = asking.model().relation(ORGANIZATION, permission)
    return relation is not None and any(one.type == "api_key" for one in relation.restrictions)


def _is_shared(subject: str, obj: Model) -> bool:
    return any(asking.check(subject, relation, object_of(obj)) for _, relation in _viewing(type_of(type(obj))))


def _viewing(kind: str) -> list[Pair]:
    """The relation by which things of a kind are seen one by one: none, unless they can be shared."""
    return [(kind, _VIEWER)] if kind != ORGANIZATION and _is_known(kind, _VIEWER) else []


def _viewed(permission: str) -> str:
    """The kind of thing that a permission lets somebody view; empty when it is about something else."""
    noun, _, verb = permission.rpartition(".")
    return noun.rpartition(".")[2] if verb == "view" else ""


def _in(path: str, places: set[UUID]) -> Q:
    """One organisation is compared and not looked up in a list: then an index gives the rows in its order."""
    if len(places) == 1:
        (only,) = places
        return Q(**{path: only})
    return Q(**{f"{path}__in": places})


def _ids(objects: Iterable[str]) -> set[UUID]:
    return {UUID(one.partition(":")[2]) for one in objects}
