"""Access tokens (EdDSA JWT, RFC 7519 and 8037) and the opaque secrets that we hand out.

An access token names the person (`sub`) and the session (`sid`), nothing else, and stays below 400 bytes. Checking a
signature is a pure function of the token and the keys, so each process remembers what it has checked; the clock and
the session are asked every time.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from accounts.errors import InvalidToken
from core import ids

ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=7)
ISSUER, AUDIENCE = "countinghouse", "api"
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Claims:
    """What a checked access token says. `expires_at` in seconds since 1970."""

    user_id: UUID
    session_id: UUID
    expires_at: int


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One Ed25519 key; `kid` is the start of its thumbprint (RFC 7638)."""

    kid: str
    private: Ed25519PrivateKey
    public: Ed25519PublicKey
    x: str

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = private.public_key()
        x = _base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        thumbprint = hashlib.sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
        return cls(_base64url(thumbprint)[:8], private, public, x)


def new_secret() -> str:
    """Return 256 random bits as text, for refresh tokens, keys and invitations."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> bytes:
    """Return what is stored of a secret that we made (SHA-256; it has 256 random bits)."""
    return hashlib.sha256(secret.encode()).digest()


def make_access_token(*, user_id: UUID, session_id: UUID, now: datetime) -> str:
    """Return a signed access token that holds for `ACCESS_LIFETIME` from `now`."""
    key, issued = _keys()[0], int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": ids.encode("usr", user_id),
        "sid": ids.encode("ses", session_id),
        "iat": issued,
        "exp": issued + int(ACCESS_LIFETIME.total_seconds()),
    }
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers={"kid": key.kid})


def read_access_token(token: str, now: datetime) -> Claims:
    """Return what `token` says. Raises `InvalidToken` when it is malformed, forged, or expired at `now`."""
    if len(token) > _LONGEST:
        raise InvalidToken("The token is not one of ours.")
    claims = _checked(token, _seeds())
    if now.timestamp() >= claims.expires_at:
        raise InvalidToken("The token has expired. Refresh it.")
    return claims


def jwks() -> dict[str, list[dict[str, str]]]:
    """Return the public keys as a JSON Web Key Set (RFC 7517, RFC 8037)."""
    return {
        "keys": [
            {"kty": "OKP", "crv": "Ed25519", "x": key.x, "kid": key.kid, "use": "sig", "alg": "EdDSA"}
            for key in _keys()
        ]
    }


@functools.lru_cache(maxsize=4096)
def _checked(token: str, seeds: tuple[str, ...]) -> Claims:
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = next((key for key in _keys_of(seeds) if key.kid == kid), None)
        if key is None:
            raise InvalidToken("The token is not signed by a key of ours.")
        found: dict[str, Any] = jwt.decode(
            token,
            key.public,
            algorithms=["EdDSA"],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"verify_exp": False, "verify_iat": False, "require": ["sub", "sid", "iat", "exp"]},
        )
        return Claims(ids.decode("usr", found["sub"]), ids.decode("ses", found["sid"]), int(found["exp"]))
    except (jwt.PyJWTError, ids.MalformedId, ValueError, TypeError):
        raise InvalidToken("The token is not valid.") from None


def _seeds() -> tuple[str, ...]:
    """The seeds in force, as text. Outside production a key is derived from SECRET_KEY when none is set."""
    if settings.TOKEN_SIGNING_KEYS:
        return tuple(settings.TOKEN_SIGNING_KEYS)
    derived = hashlib.sha256(b"countinghouse access tokens" + settings.SECRET_KEY.encode()).digest()
    return (base64.b64encode(derived).decode(),)


def _keys() -> tuple[SigningKey, ...]:
    return _keys_of(_seeds())


@functools.lru_cache(maxsize=4)
def _keys_of(seeds: tuple[str, ...]) -> tuple[SigningKey, ...]:
    return tuple(SigningKey.from_seed(base64.b64decode(seed)) for seed in seeds)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
