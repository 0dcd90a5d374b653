"""Who still stands as they did when they opened a live stream: by PostgreSQL, for many at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection
from django.db.models import Q

from accounts.models import ApiKey, Membership, Session, User
from core.actor import Actor, ActorType
from core.streams.standing import Proof, Standing


def standing_of(proofs: Collection[Proof], now: datetime) -> dict[Proof, Standing]:
    """Return how those of `proofs` stand that hold at `now` (the port of `core.streams.standing`): one query for people
    and one for keys. Staff may stand by their session of the admin, which is Django's own
    (`accounts.actors.session_id_of_desk`); a person without any session does not stand."""
    keys = [proof for proof in proofs if proof.type in (ActorType.API_KEY, ActorType.SERVICE_ACCOUNT)]
    people = [proof for proof in proofs if proof.type in (ActorType.USER, ActorType.STAFF)]
    return dict([*_of_keys(keys, now), *_of_people(people, now)])


def _of_keys(proofs: Collection[Proof], now: datetime) -> Iterator[tuple[Proof, Standing]]:
    if not proofs:
        return
    is_live = Q(expires_at=None) | Q(expires_at__gt=now)
    wanted = {proof: proof.session_id if proof.type == ActorType.SERVICE_ACCOUNT else proof.id for proof in proofs}
    found = ApiKey.objects.select_related("service_account").filter(
        is_live, pk__in=set(wanted.values()), revoked_at=None, service_account__deactivated_at=None
    )
    rows = {key.pk: key for key in found}
    for proof in proofs:
        key_id = wanted[proof]
        key = rows.get(key_id) if key_id else None
        if key is None or proof.id not in (key.pk, key.service_account_id):
            continue
        account = key.service_account
        # A rotated key has another lookup: what the old secret opened is closed.
        if account is None:
            scopes = frozenset(key.scopes)
            actor = Actor(ActorType.API_KEY, key.pk, key.name, key.organization_id, scopes)
            yield proof, Standing(actor, " ".join([key.lookup, *sorted(scopes)]))
        else:
            actor = Actor(ActorType.SERVICE_ACCOUNT, account.pk, account.name, key.organization_id, session_id=key.pk)
            yield proof, Standing(actor, f"{key.lookup} {account.role}")


def _of_people(proofs: Collection[Proof], now: datetime) -> Iterator[tuple[Proof, Standing]]:
    if not proofs:
        return
    values: list[Any] = [[proof.id for proof in proofs], [proof.session_id for proof in proofs], now, now]
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE, values)
        rows = cursor.fetchall()
    found = {(person_id, session_id): rest for person_id, session_id, *rest in rows}
    for proof in proofs:
        if (proof.id, proof.session_id) in found:
            email, is_staff, groups, roles = found[proof.id, proof.session_id]
            type_ = ActorType.STAFF if is_staff else ActorType.USER
            bound = None if groups is None else frozenset(groups)
            actor = Actor(type_, proof.id, email, session_id=proof.session_id, staff_groups=bound)
            yield proof, Standing(actor, f"{type_} {groups} {roles}")


_PEOPLE = f"""
    SELECT person.id, proof.session_id, person.email, person.is_staff,
           CASE WHEN person.is_staff AND NOT person.is_superuser THEN ARRAY(
             SELECT group_id FROM {User.groups.through._meta.db_table} WHERE user_id = person.id ORDER BY group_id) END,
           (SELECT string_agg(organization_id || '=' || role, ' ' ORDER BY organization_id)
              FROM {Membership._meta.db_table} WHERE user_id = person.id)
      FROM unnest(%s::uuid[], %s::uuid[]) AS proof (person_id, session_id)
      JOIN {User._meta.db_table} AS person ON person.id = proof.person_id AND person.is_active
      LEFT JOIN {Session._meta.db_table} AS session ON session.id = proof.session_id
     WHERE (session.user_id = person.id AND session.ended_at IS NULL AND session.expires_at > %s)
        OR (person.is_staff AND proof.session_id IN (
             SELECT left(encode(sha256(convert_to(session_key, 'UTF8')), 'hex'), 32)::uuid
               FROM {BrowserSession._meta.db_table} WHERE expire_date > %s))
"""  # noqa: S608  (table names of our own models)
