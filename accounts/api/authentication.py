"""Who asks: the actor of a request, out of its bearer token or API key.

Authorization: Bearer <access token | ck_live_…>
X-Organization: org_…     which organisation is meant, for people who belong to several
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.errors import InvalidToken
from accounts.models import Organization
from accounts.providers import tokens
from accounts.selectors import api_keys, sessions
from core import clock, ids
from core.actor import Actor
from core.errors import InvalidInput, NotFound

_HEADER = "HTTP_X_ORGANIZATION"


class BearerAuthentication(BaseAuthentication):
    """Sets `request.actor` and `request.organization_id`; leaves a request without credentials anonymous."""

    def authenticate(self, request: Request) -> tuple[Actor, Any] | None:
        scheme, _, credential = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != "bearer" or not credential:
            raise InvalidToken("Send 'Authorization: Bearer' and a token.")
        now = getattr(request, "now", None) or clock.now()
        organization_id: UUID | None
        if credential.startswith(api_keys.PREFIX):
            key = api_keys.live(credential, now)
            if key is None:
                raise InvalidToken("The API key is unknown, revoked or expired.")
            actor, organization_id = key.actor, _of_key(request, key.organization_id)
            proof: Any = key
        else:
            claims = tokens.read_access_token(credential, now)
            session = sessions.live(claims.session_id, now)
            if session is None or session.user_id != claims.user_id:
                raise InvalidToken("The session has ended. Sign in again.")
            actor, organization_id = session.actor, _of_person(request, session)
            proof = session
        request.actor = actor  # type: ignore[attr-defined]
        request.organization_id = organization_id  # type: ignore[attr-defined]
        return actor, proof

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _of_key(request: Request, organization_id: UUID) -> UUID:
    named = _named(request)
    if named is not None and named != organization_id:
        raise _unseen()
    return organization_id


def _of_person(request: Request, session: sessions.Snapshot) -> UUID | None:
    named = _named(request)
    if named is None:
        return next(iter(session.roles)) if len(session.roles) == 1 else None
    if named in session.roles or (session.is_staff and Organization.objects.filter(pk=named).exists()):
        return named
    raise _unseen()


def _named(request: Request) -> UUID | None:
    text = request.META.get(_HEADER)
    if text is None:
        return None
    try:
        return ids.decode(Organization.id_prefix, text)
    except ids.MalformedId:
        raise InvalidInput("The header X-Organization is not an id of the form 'org_…'.") from None


def _unseen() -> NotFound:
    return NotFound("There is no such organisation, or you may not see it.")


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema describes it."""

    target_class = "accounts.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token from `POST /api/v1/auth/login`, or an API key (`ck_live_…`).",
        }
