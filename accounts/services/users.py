"""People: signing up, details, passwords, coming and going."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from allauth.account import app_settings as allauth_settings
from allauth.account.forms import UserTokenForm
from allauth.account.internal import flows
from allauth.account.utils import setup_user_email
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError

from accounts import events
from accounts.actors import actor_of_user
from accounts.errors import InvalidCredentials, InvalidMailToken
from accounts.models import User, UserManager
from accounts.providers.allauth_adapter import bare_request
from accounts.selectors.people import is_proven
from accounts.services import mails, sessions, staff, verification
from accounts.states import EndedReason
from audit import record
from core.access import require
from core.actor import Actor
from core.commands import command
from core.errors import Conflict, FieldFault, InvalidInput


@command("accounts.user.sign_up")
def sign_up(*, actor: Actor, email: str, password: str, name: str = "", now: datetime) -> None:
    """Take a sign-up; what happens next goes by mail alone, so that nobody learns who has an account.

    A new address gets an account and a mail to prove it. A proven one gets a mail that says so. One that waits for its
    proof gets the new name and password (see `verification`) and another mail. Writes `accounts.user.signed_up` in the
    first and last case. Raises `InvalidInput` for a password that breaks the rules.
    """
    email = UserManager.normalize_email(email)
    check_password_rules(password, User(email=email, name=name))
    encoded = make_password(password)
    user, is_new = User.objects.get_or_create(email=email, defaults={"name": name, "password": encoded})
    if is_new:
        setup_user_email(bare_request(), user, [])
    elif is_proven(user):
        mails.enqueue(mails.ALREADY_REGISTERED, user, now=now, actor=actor)
        return
    else:
        user = user.refreshed_for_update()
        user.name, user.password = name, encoded
        user.save(update_fields=["name", "password"])
    mails.enqueue(mails.VERIFY_EMAIL, user, now=now, actor=actor)
    record(events.USER_SIGNED_UP, actor=actor_of_user(user), subject=user, after={"email": email, "name": name})


@command("accounts.user.create")
def create(*, actor: Actor, email: str, password: str, name: str = "", is_staff: bool = False) -> User:
    """Enter a person whose address is taken as proven (demo data, the first staff member, staff by hand). Writes
    `accounts.user.created`. Raises `Conflict` when the address is taken."""
    require(actor, "accounts.user.manage")
    email = UserManager.normalize_email(email)
    if User.objects.filter(email=email).exists():
        raise Conflict("There is already a person with this address.")
    user = User.objects.create_user(email, password, name=name, is_staff=is_staff, is_superuser=is_staff)
    verification.mark_verified(user)
    record(
        events.USER_CREATED,
        actor=actor,
        subject=user,
        after={"email": email, "name": name},
        data={"is_staff": is_staff},
    )
    return user


def resend_verification(*, actor: Actor, email: str, now: datetime) -> None:
    """Send the mail again to an address that waits for its proof; silent for every other."""
    user = User.objects.filter(email=UserManager.normalize_email(email), is_active=True).first()
    if user is not None and not is_proven(user):
        mails.enqueue(mails.VERIFY_EMAIL, user, now=now, actor=actor)


@command("accounts.user.request_password_reset")
def request_password_reset(*, actor: Actor, email: str, now: datetime) -> None:
    """Send a mail with which the password can be reset; silent for an unknown address. Writes
    `accounts.user.password_reset_requested`."""
    user = User.objects.filter(email=UserManager.normalize_email(email), is_active=True).first()
    if user is not None:
        mails.enqueue(mails.PASSWORD_RESET, user, now=now, actor=actor)
        record(events.USER_PASSWORD_RESET_REQUESTED, actor=actor, subject=user)


@command("accounts.user.reset_password")
def reset_password(*, actor: Actor, token: str, password: str, now: datetime) -> User:
    """Set a new password by the token out of the mail, which also proves the address; all sessions end. Writes
    `accounts.user.password_reset`. Raises `InvalidMailToken` and `InvalidInput`."""
    uid, _, key = token.partition("-")
    form = UserTokenForm({"uidb36": uid, "key": key})
    form.token_generator = allauth_settings.PASSWORD_RESET_TOKEN_GENERATOR()
    if not form.is_valid() or not form.reset_user.is_active:
        raise InvalidMailToken("The token is wrong, used or too old. Ask for a new mail.")
    user: User = form.reset_user.refreshed_for_update()
    if not form.token_generator.check_token(user, key):
        raise InvalidMailToken("The token has just been used. Ask for a new mail.")
    check_password_rules(password, user)
    flows.password_reset.reset_password(user, password)
    flows.password_reset.finalize_password_reset(bare_request(), user)
    verification.mark_verified(user)
    record(events.USER_PASSWORD_RESET, actor=actor_of_user(user), subject=user, occurred_at=now)
    _after_new_password(user, now, except_session_id=None)
    return user


@command("accounts.user.change_password")
def change_password(*, actor: Actor, user: User, current_password: str, new_password: str, now: datetime) -> User:
    """Replace the password by who knows it; all other sessions end. Writes `accounts.user.password_changed`. Raises
    `InvalidCredentials` and `InvalidInput`."""
    require(actor, "accounts.user.edit", user)
    user = user.refreshed_for_update()
    if not user.check_password(current_password):
        raise InvalidCredentials("The present password is wrong.")
    check_password_rules(new_password, user, pointer="/new_password")
    flows.password_change.change_password(user, new_password)
    record(events.USER_PASSWORD_CHANGED, actor=actor, subject=user, occurred_at=now)
    _after_new_password(user, now, except_session_id=actor.session_id)
    return user


@command("accounts.user.set_password")
def set_password(*, actor: Actor, user: User, password: str, reason: str, now: datetime) -> User:
    """Give a person a new password without knowing the present one; all sessions end, those of the admin too. Writes
    `accounts.user.password_set`. Raises `InvalidInput`."""
    require(actor, "accounts.user.manage", user)
    user = user.refreshed_for_update()
    check_password_rules(password, user)
    user.set_password(password)
    user.save(update_fields=["password"])
    record(events.USER_PASSWORD_SET, actor=actor, subject=user, data={"reason": reason}, occurred_at=now)
    sessions.end_all(actor=actor, user=user, reason=EndedReason.PASSWORD_CHANGED, now=now)
    sessions.end_admin_sessions(user=user, now=now)
    return user


@command("accounts.user.update")
def update(*, actor: Actor, user: User, name: str) -> User:
    """Change a person's name. Writes `accounts.user.updated`."""
    require(actor, "accounts.user.edit", user)
    user = user.refreshed_for_update()
    before = user.name
    if name != before:
        user.name = name
        user.save(update_fields=["name"])
        record(events.USER_UPDATED, actor=actor, subject=user, before={"name": before}, after={"name": name})
    return user


@command("accounts.user.deactivate")
def deactivate(*, actor: Actor, user: User, reason: str, now: datetime) -> User:
    """Shut a person out; all sessions end at once. Raises `LastStaffMember`. Writes `accounts.user.deactivated`."""
    require(actor, "accounts.user.manage", user)
    staff.keep_one(user)
    user = user.refreshed_for_update()
    if user.is_active:
        user.is_active = False
        user.save(update_fields=["is_active"])
        record(events.USER_DEACTIVATED, actor=actor, subject=user, data={"reason": reason}, occurred_at=now)
        sessions.end_all(actor=actor, user=user, reason=EndedReason.DEACTIVATED, now=now)
        sessions.end_admin_sessions(user=user, now=now)
    return user


@command("accounts.user.reactivate")
def reactivate(*, actor: Actor, user: User, reason: str, now: datetime) -> User:
    """Let a person in again. Writes `accounts.user.reactivated`."""
    require(actor, "accounts.user.manage", user)
    user = user.refreshed_for_update()
    if not user.is_active:
        user.is_active = True
        user.save(update_fields=["is_active"])
        record(events.USER_REACTIVATED, actor=actor, subject=user, data={"reason": reason}, occurred_at=now)
    return user


def check_password_rules(password: str, user: User, *, pointer: str = "/password") -> None:
    """Raise `InvalidInput` naming every rule that `password` breaks. It is taken as typed: no trimming, no cleaning."""
    try:
        password_validation.validate_password(password, user)
    except ValidationError as fault:
        found = [FieldFault(pointer, error.code or "invalid", error.messages[0]) for error in fault.error_list]
        raise InvalidInput("The password breaks the rules.", faults=found) from None


def _after_new_password(user: User, now: datetime, *, except_session_id: UUID | None) -> None:
    sessions.end_all(
        actor=actor_of_user(user),
        user=user,
        reason=EndedReason.PASSWORD_CHANGED,
        now=now,
        except_session_id=except_session_id,
    )
