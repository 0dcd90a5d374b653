"""Who still stands as they did when they opened a live stream: by PostgreSQL, for many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from accounts.models import ApiKey, Membership, Session, User
from core.access import Role
from core.actor import Actor, ActorType
from core.streams.standing import Proof, Standing


def standing_of(proofs: Collection[Proof], now: datetime) -> dict[Proof, Standing]:
    """Return how those of `proofs` stand that hold at `now` (the port of `core.streams.standing`). Four queries at
    most. A person without a session (the admin, which has its own) stands as long as they are active."""
    keys = [proof for proof in proofs if proof.type == ActorType.API_KEY]
    people = [proof for proof in proofs if proof.type in (ActorType.USER, ActorType.STAFF)]
    return dict([*_of_keys(keys, now), *_of_people(people, now)])


def _of_keys(proofs: Collection[Proof], now: datetime) -> Iterator[tuple[Proof, Standing]]:
    if not proofs:
        return
    is_live = Q(expires_at=None) | Q(expires_at__gt=now)
    found = ApiKey.objects.filter(is_live, pk__in={proof.id for proof in proofs}, revoked_at=None)
    rows = {key.pk: key for key in found}
    for proof in proofs:
        key = rows.get(proof.id)
        if key is not None:
            scopes = frozenset(key.scopes)
            actor = Actor(ActorType.API_KEY, key.pk, key.name, key.organization_id, scopes)
            # A rotated key has another lookup: what the old secret opened is closed.
            yield proof, Standing(actor, " ".join([key.lookup, *sorted(scopes)]))


def _of_people(proofs: Collection[Proof], now: datetime) -> Iterator[tuple[Proof, Standing]]:
    if not proofs:
        return
    sessions = {proof.session_id for proof in proofs if proof.session_id is not None}
    live = Session.objects.filter(pk__in=sessions, ended_at=None, expires_at__gt=now)
    owners: dict[UUID | None, UUID] = dict(live.values_list("pk", "user_id")) if sessions else {}
    wanted = {proof.id for proof in proofs if proof.session_id is None or owners.get(proof.session_id) == proof.id}
    people = {person.pk: person for person in User.objects.filter(pk__in=wanted, is_active=True)}
    roles = _roles(people)
    for proof in proofs:
        person = people.get(proof.id)
        if person is None or (proof.session_id is not None and owners.get(proof.session_id) != proof.id):
            continue
        type_ = ActorType.STAFF if person.is_staff else ActorType.USER
        actor = Actor(type_, person.pk, person.email, session_id=proof.session_id)
        held = sorted(f"{organization}={role}" for organization, role in roles[person.pk].items())
        yield proof, Standing(actor, f"{type_} {' '.join(held)}")


def _roles(people: Iterable[UUID]) -> defaultdict[UUID, dict[UUID, Role]]:
    found: defaultdict[UUID, dict[UUID, Role]] = defaultdict(dict)
    rows = Membership.objects.filter(user_id__in=list(people)).values_list("user_id", "organization_id", "role")
    for user_id, organization_id, role in rows:
        found[user_id][organization_id] = Role(role)
    return found
