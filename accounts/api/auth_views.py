"""Signing up, in and out; one's own sessions and details."""

from __future__ import annotations

from typing import Any

from django.db.models import Case, When

from accounts.api import serializers as s
from accounts.errors import (
    InvalidCredentials,
    InvalidMailToken,
    InvalidToken,
    RefreshTokenReused,
    TokenAlreadyRotated,
)
from accounts.models import Session, User
from accounts.providers import tokens
from accounts.services import sessions, users, verification
from accounts.states import EndedReason
from core import context, limits
from core.api.replies import Reply
from core.api.requests import Request
from core.api.views import APIView
from core.api.viewsets import EntityViewSet, operation
from core.errors import Forbidden, LimitReached


class AuthView(APIView):
    """Open to everybody; bounded by the limits of sign-in and sign-up instead of the anonymous count.

    Nobody acts here but nobody: a token that is sent along is not looked at. Otherwise jobs and events of another's
    sign-up or reset would belong to whoever asked, who could see by them whether an account exists; and a client that
    still sends its expired token could not refresh it.
    """

    is_public = True
    tag = "auth"
    authentication_classes = ()

    def limit(self, request: Request) -> None:
        """These routes count by themselves, failures only."""


def _limit_address(email: str, purpose: str) -> None:
    """Count every request about one address from one place, known or not, so that the count tells nothing."""
    account, _ = limits.sign_up(f"{purpose}|{email}", context.current().ip)
    limits.check(*account)


class SignUpView(AuthView):
    @operation(
        request=s.SignUpInput,
        response=s.StatusReply,
        status=202,
        idempotency="exempt",
        errors=(LimitReached,),
        operation_id="auth_sign_up",
        summary="Sign up",
    )
    def post(self, request: Request) -> dict[str, str]:
        """The answer is the same for a new address and for a known one; the mail tells them apart."""
        _, by_address = limits.sign_up("", context.current().ip)
        with limits.attempt(by_address) as attempt:
            data = self.input()
            _limit_address(data["email"], "sign-up")
            users.sign_up(actor=request.actor, now=request.now, **data)
            attempt.succeeded()
        return {"status": "verification_pending"}


class VerifyEmailView(AuthView):
    @operation(
        request=s.TokenInput,
        response=s.StatusReply,
        idempotency="exempt",
        errors=(InvalidMailToken, LimitReached),
        operation_id="auth_verify_email",
        summary="Prove an e-mail address",
    )
    def post(self, request: Request) -> dict[str, str]:
        """Send the token out of the mail."""
        data = self.input()
        with limits.attempt(limits.sign_up("", context.current().ip)[1]) as attempt:
            verification.verify_email(actor=request.actor, **data)
            attempt.succeeded()
        return {"status": "verified"}


class ResendVerificationView(AuthView):
    @operation(
        request=s.EmailInput,
        response=s.StatusReply,
        status=202,
        idempotency="exempt",
        errors=(LimitReached,),
        operation_id="auth_resend_verification",
        summary="Send the verification mail again",
    )
    def post(self, request: Request) -> dict[str, str]:
        """The answer is the same for every address."""
        data = self.input()
        _limit_address(data["email"], "resend")
        users.resend_verification(actor=request.actor, now=request.now, **data)
        return {"status": "verification_pending"}


class LoginView(AuthView):
    @operation(
        request=s.LoginInput,
        response=s.TokenReply,
        idempotency="exempt",
        errors=(InvalidCredentials, LimitReached),
        operation_id="auth_login",
        summary="Sign in",
    )
    def post(self, request: Request) -> Any:
        """Five failures of one account from one address, or twenty from one address, in 15 minutes shut the door for a
        while (429). While the address waits for its proof the answer is 202 and a new mail is sent."""
        result = sessions.start(actor=request.actor, now=request.now, **self.input())
        if isinstance(result, sessions.VerificationPending):
            return Reply({"status": "verification_pending"}, status=202)
        return _tokens(result)


class RefreshView(AuthView):
    @operation(
        request=s.RefreshInput,
        response=s.TokenReply,
        idempotency="exempt",
        errors=(InvalidToken, TokenAlreadyRotated, RefreshTokenReused),
        operation_id="auth_refresh",
        summary="Replace a refresh token",
    )
    def post(self, request: Request) -> dict[str, Any]:
        """Each refresh token works once. Used again within ten seconds it answers 409 and nothing happens; used again
        later it ends the whole session."""
        return _tokens(sessions.refresh(now=request.now, **self.input()))


class LogoutView(APIView):
    tag = "auth"

    @operation(
        request=None, response=None, status=204, idempotency="exempt", operation_id="auth_logout", summary="Sign out"
    )
    def post(self, request: Request) -> None:
        """End the session of the access token; it stops working at once."""
        session = Session.objects.get(pk=_own_session(request))
        sessions.end(actor=request.actor, session=session, reason=EndedReason.SIGNED_OUT, now=request.now)


class PasswordResetView(AuthView):
    @operation(
        request=s.EmailInput,
        response=s.StatusReply,
        status=202,
        idempotency="exempt",
        errors=(LimitReached,),
        operation_id="auth_password_reset",
        summary="Ask for a mail to reset the password",
    )
    def post(self, request: Request) -> dict[str, str]:
        """The answer is the same for every address."""
        data = self.input()
        _limit_address(data["email"], "reset")
        users.request_password_reset(actor=request.actor, now=request.now, **data)
        return {"status": "mail_sent"}


class PasswordResetConfirmView(AuthView):
    @operation(
        request=s.PasswordResetConfirmInput,
        response=s.StatusReply,
        idempotency="exempt",
        errors=(InvalidMailToken, LimitReached),
        operation_id="auth_password_reset_confirm",
        summary="Reset the password",
    )
    def post(self, request: Request) -> dict[str, str]:
        """Send the token out of the mail and a new password. All sessions end."""
        data = self.input()
        with limits.attempt(limits.sign_in("", context.current().ip)[1]) as attempt:
            users.reset_password(actor=request.actor, now=request.now, **data)
            attempt.succeeded()
        return {"status": "password_changed"}


class PasswordChangeView(APIView):
    tag = "auth"

    @operation(
        request=s.PasswordChangeInput,
        response=s.StatusReply,
        idempotency="exempt",
        errors=(InvalidCredentials, LimitReached),
        operation_id="auth_password_change",
        summary="Change the password",
    )
    def post(self, request: Request) -> dict[str, str]:
        """All other sessions end."""
        data, user = self.input(), _oneself(request)
        with limits.attempt(*limits.sign_in(user.email, context.current().ip)) as attempt:
            users.change_password(actor=request.actor, user=user, now=request.now, **data)
            attempt.succeeded()
        return {"status": "password_changed"}


class MeView(APIView):
    tag = "auth"

    @operation(response=s.MeSerializer, operation_id="me_retrieve", summary="Who am I")
    def get(self, request: Request) -> User:
        return _oneself(request)

    @operation(request=s.MeInput, response=s.MeSerializer, operation_id="me_update", summary="Change my details")
    def patch(self, request: Request) -> User:
        user = _oneself(request)
        self.check_version(user)
        return users.update(actor=request.actor, user=user, **self.input())


class SessionViewSet(EntityViewSet):
    """The devices on which one is signed in, the last used first."""

    tag = "auth"
    queryset = Session.objects.all()
    serializer_class = s.SessionSerializer
    ordering = ("-id",)

    def get_queryset(self) -> Any:
        own = _own_session(self.request)
        rows = Session.objects.filter(user_id=self.request.actor.id, ended_at=None, expires_at__gt=self.request.now)
        return rows.annotate(is_current=Case(When(pk=own, then=True), default=False))

    @operation(response=None, status=204, idempotency="exempt", summary="Sign a device out")
    def destroy(self, request: Request, **kwargs: Any) -> None:
        sessions.end(actor=request.actor, session=self.entity(), reason=EndedReason.SIGNED_OUT_BY_USER, now=request.now)

    @operation(response=s.EndedReply, idempotency="exempt", summary="Sign all other devices out")
    def destroy_others(self, request: Request) -> dict[str, int]:
        ended = sessions.end_all(
            actor=request.actor,
            user=_oneself(request),
            reason=EndedReason.SIGNED_OUT_BY_USER,
            now=request.now,
            except_session_id=_own_session(request),
        )
        return {"ended": ended}


class JwksView(APIView):
    """The public keys that verify access tokens."""

    is_public = True
    tag = "auth"

    @operation(response=s.JwksReply, operation_id="jwks", summary="Keys that verify access tokens")
    def get(self, request: Request) -> Reply:
        return Reply(tokens.jwks(), headers={"Cache-Control": "public, max-age=300"})


def _tokens(pair: sessions.TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": pair.token_type,
        "expires_in": pair.expires_in,
    }


def _own_session(request: Request) -> Any:
    if request.actor.person_id is None or request.actor.session_id is None:
        raise Forbidden("This is for people who signed in; an API key has no session.")
    return request.actor.session_id


def _oneself(request: Request) -> User:
    if request.actor.person_id is None:
        raise Forbidden("This is for people; an API key is none.")
    return User.objects.get(pk=request.actor.person_id)
