"""Many people granted a role in an organisation, or revoked it, in one command. Each is answered for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.errors import NotEveryMemberChanged
from accounts.models import Membership, Organization, User, UserManager
from accounts.services import memberships
from accounts.services.locks import lock_organization
from core import ids
from core.access import Role, require
from core.actor import Actor
from core.commands import command
from core.errors import AppError, FieldFault, Forbidden

OWNERS_ONLY: Final = "owners_only"


class Direction(StrEnum):
    GRANT = "grant"
    REVOKE = "revoke"


class Result(StrEnum):
    """What became of one person of the request."""

    CREATED = "created"  # they have the role now, and had it not
    UNCHANGED = "unchanged"  # they had it already, or stand in the request twice
    REMOVED = "removed"
    NOT_MEMBER = "not_member"  # they had not what was to be revoked
    UNKNOWN_USER = "unknown_user"
    REJECTED = "rejected"


_DONE: Final = frozenset({Result.CREATED, Result.REMOVED})


@dataclass(frozen=True, slots=True)
class Answer:
    """One person as they were named, and what became of them. `reason` says why they were rejected."""

    user: str
    result: Result
    person_id: UUID | None = None
    previous_role: Role | None = None
    role: Role | None = None
    reason: str = ""
    detail: str = ""


@command("accounts.membership.change_many")
def change_many(
    *,
    actor: Actor,
    organization: Organization,
    direction: Direction,
    users: Sequence[str],
    role: Role | None = None,
    is_strict: bool = False,
) -> list[Answer]:
    """Give each of `users` (ids or e-mail addresses) the role, or take their membership away: that with `role`, or any
    when it is None. Answers in their order; writes the events of `memberships.create`, `change_role` and `remove`.

    With `is_strict` all must take effect: raises `NotEveryMemberChanged`, which names everybody for whom it would not,
    and changes nothing."""
    require(actor, "accounts.membership.manage", organization)
    bulk = _Bulk(actor, organization, direction, role)
    bulk.prepare(users)
    answers = [bulk.answer(user) for user in users]
    offenders = [(number, answer) for number, answer in enumerate(answers) if answer.result not in _DONE]
    if is_strict and offenders:
        raise NotEveryMemberChanged(
            f"{len(offenders)} of {len(answers)} could not be changed, so nobody was.",
            faults=[_fault(number, answer) for number, answer in offenders],
        )
    return answers


_TEXTS: Final = {
    Result.UNCHANGED: "They have the role already, or are named twice.",
    Result.NOT_MEMBER: "They do not have what is to be revoked.",
    Result.UNKNOWN_USER: "There is no such person.",
    Result.REJECTED: "It is not allowed.",
}


def _fault(number: int, answer: Answer) -> FieldFault:
    text = f"{answer.user:.254}: {answer.detail or _TEXTS[answer.result]}"
    return FieldFault(f"/users/{number}", answer.reason or str(answer.result), text)


@dataclass(slots=True)
class _Bulk:
    """One request on its way: the organisation and the members it names are locked."""

    actor: Actor
    organization: Organization
    direction: Direction
    role: Role | None
    _people: dict[str, User] = field(default_factory=dict)
    _members: dict[UUID, Membership] = field(default_factory=dict)
    _seen: set[UUID] = field(default_factory=set)
    _refused: dict[Role, AppError | None] = field(default_factory=dict)

    def prepare(self, users: Sequence[str]) -> None:
        """Find the people; lock the organisation, then its members in the order of their keys."""
        self._people = _people_named(users)
        lock_organization(self.organization.pk)
        found = Membership.objects.filter(
            organization=self.organization, user_id__in={person.pk for person in self._people.values()}
        )
        rows = found.select_related("user", "organization").order_by("pk").select_for_update(of=("self",))
        self._members = {member.user_id: member for member in rows}

    def answer(self, named: str) -> Answer:
        """Do what is asked for one person and say what became of it."""
        person = self._people.get(_key(named))
        if person is None or (self.direction is Direction.GRANT and not person.is_active):
            return Answer(named, Result.UNKNOWN_USER)
        member = self._members.get(person.pk)
        before = Role(member.role) if member is not None else None
        if person.pk in self._seen:
            return Answer(named, Result.UNCHANGED, person.pk, before, before)
        self._seen.add(person.pk)
        try:
            with transaction.atomic():
                result = self._grant(person, member) if self.direction is Direction.GRANT else self._revoke(member)
        except AppError as error:
            return Answer(named, Result.REJECTED, person.pk, before, before, _reason(error), error.detail)
        after = self._members.get(person.pk)
        return Answer(named, result, person.pk, before, Role(after.role) if after is not None else None)

    def _grant(self, person: User, member: Membership | None) -> Result:
        assert self.role is not None, "a role is granted"
        if member is not None and member.role == self.role:
            return Result.UNCHANGED
        self._require_for(self.role)
        if member is None:
            member = memberships.join(actor=self.actor, organization=self.organization, user=person, role=self.role)
        else:
            self._require_for(Role(member.role))
            member = memberships.give_role(actor=self.actor, member=member, role=self.role)
        self._members[person.pk] = member
        return Result.CREATED

    def _revoke(self, member: Membership | None) -> Result:
        if member is None or self.role not in (None, member.role):
            return Result.NOT_MEMBER
        if member.role == Role.OWNER and member.user_id != self.actor.id:
            self._require_for(Role.OWNER)
        memberships.take_out(actor=self.actor, member=member)
        del self._members[member.user_id]
        return Result.REMOVED

    def _require_for(self, role: Role) -> None:
        """Ask once for each role whether the actor may give it: what they may is what they might when they asked."""
        if role not in self._refused:
            try:
                memberships.require_for_role(self.actor, self.organization, role)
                self._refused[role] = None
            except AppError as error:
                self._refused[role] = error
        error_of_role = self._refused[role]
        if error_of_role is not None:
            raise error_of_role


def _people_named(users: Sequence[str]) -> dict[str, User]:
    """Return the people by how they are named, in one query."""
    keys = {_key(named) for named in users}
    addresses = {key for key in keys if "@" in key}
    numbers = {key: number for key in keys - addresses if (number := _number(key)) is not None}
    rows = User.objects.filter(Q(pk__in=numbers.values()) | Q(email__in=addresses)).order_by("pk")
    by_number, by_address = {row.pk: row for row in rows}, {row.email: row for row in rows}
    found = {key: by_number.get(number) for key, number in numbers.items()}
    found |= {address: by_address.get(address) for address in addresses}
    return {key: person for key, person in found.items() if person is not None}


def _key(named: str) -> str:
    return UserManager.normalize_email(named)


def _number(key: str) -> UUID | None:
    try:
        return ids.decode(User.id_prefix, key)
    except ids.MalformedId:
        return None


def _reason(error: AppError) -> str:
    is_of_owners = isinstance(error, Forbidden) and error.extra.get("permission") == "accounts.ownership.manage"
    return OWNERS_ONLY if is_of_owners else error.code
