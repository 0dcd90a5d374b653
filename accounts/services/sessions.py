"""Signing in and staying signed in: sessions, access tokens and rotating refresh tokens.

A session is the family of the refresh tokens that descend from one sign-in. Spending one is a single
`UPDATE … RETURNING`, so of many who try at once one wins. A second use within `GRACE` is a retry or a second tab:
refused, nothing changes. Later it is theft (RFC 9700, section 4.14.2): the session ends, and its access tokens with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as BrowserSession
from django.db import connection, transaction
from django.db.models import Q, QuerySet

from accounts import events
from accounts.actors import actor_of_user
from accounts.errors import InvalidCredentials, InvalidToken, RefreshTokenReused, TokenAlreadyRotated
from accounts.models import RefreshToken, Session, User, UserManager
from accounts.providers import session_cache, tokens
from accounts.selectors.people import is_proven
from accounts.services import mails
from accounts.states import EndedReason
from audit import record
from core import context, jobs, limits, streams
from core.access import require
from core.actor import SYSTEM, Actor
from core.commands import command

GRACE = timedelta(seconds=10)
KEPT = timedelta(days=30)
_BATCH = 500


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client gets. `expires_in`: seconds that the access token holds."""

    access_token: str
    refresh_token: str
    session_id: UUID
    expires_in: int = int(tokens.ACCESS_LIFETIME.total_seconds())
    token_type: str = "Bearer"  # noqa: S105


@dataclass(frozen=True, slots=True)
class VerificationPending:
    """The password was right, but the address has not been proven yet; a new mail is on its way."""


def authenticate(*, email: str, password: str, ip: str) -> User:
    """Return the active person with these credentials. One guess under the limits of sign-in: failures count for the
    account at this address and for the address, successes are free.

    Takes as long for an unknown address as for a wrong password. Raises `InvalidCredentials`, and `LimitReached`
    before anything is looked at.
    """
    with limits.attempt(*limits.sign_in(email, ip)) as attempt:
        user = User.objects.filter(email=UserManager.normalize_email(email)).first()
        if user is None:
            User().set_password(password)
        elif user.check_password(password) and user.is_active:
            attempt.succeeded()
            return user
        raise InvalidCredentials


@command("accounts.user.sign_in_to_admin", is_durable=True)
def authenticate_for_admin(*, actor: Actor, email: str, password: str, ip: str) -> User:
    """As `authenticate`, for the admin, whose sessions are Django's; a command, so that a refusal can be recorded."""
    return authenticate(email=email, password=password, ip=ip)


@command("accounts.session.start", is_durable=True)
def start(*, actor: Actor, email: str, password: str, now: datetime) -> TokenPair | VerificationPending:
    """Sign a person in. Writes `accounts.session.started`.

    Durable, since no transaction should be open while a password is checked. Raises `InvalidCredentials` and
    `LimitReached`.
    """
    user = authenticate(email=email, password=password, ip=context.current().ip)
    if not is_proven(user):
        mails.enqueue(mails.VERIFY_EMAIL, user, now=now, actor=actor)
        return VerificationPending()
    with transaction.atomic():
        return issue(user=user, now=now)


def issue(*, user: User, now: datetime) -> TokenPair:
    """Start a session of `user` and return its first tokens; the oldest session ends when there are too many."""
    here, mine = context.current(), actor_of_user(user)
    User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    _end_oldest(user, now)
    session = Session.objects.create(
        user=user,
        user_agent=here.user_agent[:300],
        ip=here.ip or None,
        last_used_at=now,
        expires_at=now + tokens.REFRESH_LIFETIME,
    )
    User.objects.filter(pk=user.pk).update(last_login=now)
    record(
        events.SESSION_STARTED,
        actor=mine,
        subject=session,
        data={"ip": here.ip, "user_agent": here.user_agent[:300]},
        person=user,
        occurred_at=now,
    )
    secret, _ = _new_refresh_token(session.pk, now)
    return _pair(user.pk, session.pk, secret, now)


def refresh(*, refresh_token: str, now: datetime) -> TokenPair:
    """Spend a refresh token and return its successor with a new access token.

    Raises `TokenAlreadyRotated` within `GRACE` of its first use (nothing changes), `RefreshTokenReused` later (the
    session has then been ended), `InvalidToken` when it is unknown, expired or of an ended session.
    """
    digest = tokens.hash_of(refresh_token)
    with transaction.atomic():
        spent = _spend(digest, now)
        if spent is not None:
            token_id, session_id, user_id = spent
            secret, successor = _new_refresh_token(session_id, now)
            RefreshToken.objects.filter(pk=token_id).update(successor=successor)
            Session.objects.filter(pk=session_id).update(last_used_at=now, expires_at=now + tokens.REFRESH_LIFETIME)
            return _pair(user_id, session_id, secret, now)
    return _refuse(digest, now)


def _refuse(digest: bytes, now: datetime) -> TokenPair:
    """Say why a refresh token could not be spent, and end its session when it was stolen."""
    token = RefreshToken.objects.select_related("session").filter(token_hash=digest).first()
    if token is None or not token.session.is_live(now) or token.rotated_at is None:
        raise InvalidToken("The refresh token is unknown or has expired. Sign in again.")
    if now - token.rotated_at <= GRACE:
        raise TokenAlreadyRotated
    end(actor=SYSTEM, session=token.session, reason=EndedReason.TOKEN_REUSED, now=now)
    raise RefreshTokenReused


@command("accounts.session.end")
def end(*, actor: Actor, session: Session, reason: EndedReason, now: datetime) -> Session:
    """End a session: its refresh tokens and, at once, its access tokens. Ending an ended one changes nothing.
    Writes `accounts.session.ended`."""
    require(actor, "accounts.session.end", session)
    _end(Session.objects.filter(pk=session.pk), actor=actor, reason=reason, now=now)
    session.refresh_from_db()
    return session


@command("accounts.session.end_all")
def end_all(
    *, actor: Actor, user: User, reason: EndedReason, now: datetime, except_session_id: UUID | None = None
) -> int:
    """End all sessions of `user`, save one; return how many. Writes `accounts.session.ended` for each."""
    require(actor, "accounts.session.end", user)
    sessions = Session.objects.filter(user=user)
    if except_session_id is not None:
        sessions = sessions.exclude(pk=except_session_id)
    return _end(sessions, actor=actor, reason=reason, now=now)


def end_admin_sessions(*, user: User, now: datetime) -> int:
    """End the sessions of the admin, which are Django's own; return how many. Only staff have such, so that looking
    through all of them is quick."""
    mine = [
        row.pk
        for row in BrowserSession.objects.filter(expire_date__gt=now)
        if row.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    deleted, _ = BrowserSession.objects.filter(pk__in=mine).delete()
    return deleted


def forget_old(now: datetime) -> int:
    """Delete sessions that ended or expired more than `KEPT` ago, 500 at a time, and expired ones of the admin;
    return how many. What happened stays in the event log."""
    too_old = Session.objects.filter(Q(ended_at__lt=now - KEPT) | Q(ended_at=None, expires_at__lt=now - KEPT))
    forgotten = 0
    while batch := list(too_old.values_list("pk", flat=True)[:_BATCH]):
        Session.objects.filter(pk__in=batch).delete()
        forgotten += len(batch)
    deleted, _ = BrowserSession.objects.filter(expire_date__lt=now).delete()
    return forgotten + deleted


def doubt_sessions_of(user_id: UUID) -> None:
    """Make each request of the person ask PostgreSQL who they are: call it in the transaction that changes their roles
    or rights."""
    live = Session.objects.filter(user_id=user_id, ended_at=None).values_list("pk", flat=True)
    _doubt([session_cache.session_key(pk) for pk in live])


def _end(sessions: QuerySet[Session], *, actor: Actor, reason: EndedReason, now: datetime) -> int:
    live = list(sessions.filter(ended_at=None).order_by("pk").select_for_update(of=("self",)))
    if not live:
        return 0
    keys = [session_cache.session_key(session.pk) for session in live]
    _doubt(keys)
    Session.objects.filter(pk__in=[session.pk for session in live]).update(
        ended_at=now, ended_reason=reason, updated_at=now
    )
    for session in live:
        record(
            events.SESSION_ENDED,
            actor=actor,
            subject=session,
            data={"reason": str(reason), "user_id": str(session.user_id)},
            occurred_at=now,
        )
    transaction.on_commit(lambda: session_cache.bury(keys) and None)
    return len(live)


def _end_oldest(user: User, now: datetime) -> None:
    """Make room for one more session."""
    live = Session.objects.filter(user=user, ended_at=None)
    live.filter(expires_at__lte=now).update(ended_at=now, ended_reason=EndedReason.EXPIRED)
    newest_first = live.order_by("-last_used_at", "-pk").values_list("pk", flat=True)
    _end(
        Session.objects.filter(pk__in=list(newest_first[settings.SESSIONS_PER_USER - 1 :])),
        actor=actor_of_user(user),
        reason=EndedReason.TOO_MANY_SESSIONS,
        now=now,
    )


def _doubt(keys: list[str]) -> None:
    streams.wake(streams.ACCESS_CHANGED)
    if not session_cache.doubt(keys):
        jobs.enqueue(session_cache.DOUBT_JOB, {"keys": keys}, actor=SYSTEM)


def _new_refresh_token(session_id: UUID, now: datetime) -> tuple[str, RefreshToken]:
    secret = tokens.new_secret()
    row = RefreshToken.objects.create(
        session_id=session_id,
        token_hash=tokens.hash_of(secret),
        issued_at=now,
        expires_at=now + tokens.REFRESH_LIFETIME,
    )
    return secret, row


_SPEND = f"""
    UPDATE {RefreshToken._meta.db_table} AS token SET rotated_at = %(now)s
      FROM {Session._meta.db_table} AS session JOIN {User._meta.db_table} AS person ON person.id = session.user_id
     WHERE token.token_hash = %(digest)s AND token.rotated_at IS NULL AND token.expires_at > %(now)s
       AND session.id = token.session_id AND session.ended_at IS NULL AND session.expires_at > %(now)s
       AND person.is_active
 RETURNING token.id, session.id, session.user_id
"""  # noqa: S608  (table names of our own models)


def _spend(digest: bytes, now: datetime) -> tuple[int, UUID, UUID] | None:
    with connection.cursor() as cursor:
        cursor.execute(_SPEND, {"now": now, "digest": digest})
        row = cursor.fetchone()
    return None if row is None else (row[0], row[1], row[2])


def _pair(user_id: UUID, session_id: UUID, secret: str, now: datetime) -> TokenPair:
    access = tokens.make_access_token(user_id=user_id, session_id=session_id, now=now)
    return TokenPair(access_token=access, refresh_token=secret, session_id=session_id)
