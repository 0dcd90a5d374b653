"""Settings of what surrounds the business: cache, logs, security headers: functions of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONCE, NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from core import redis


def caches(url: str) -> dict[str, Any]:
    """The default cache: django-redis, counted by django-prometheus, JSON only (nothing is ever unpickled). A Redis
    that is down makes every look a miss, within the short time-outs of `core.redis`."""
    url = url or redis.DEFAULT_URL
    options = redis.options()
    if url.startswith("unix:"):
        options.pop("socket_connect_timeout")
    return {
        "default": {
            "BACKEND": "django_prometheus.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "ch",
            "TIMEOUT": 300,
            "OPTIONS": {
                "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
                "IGNORE_EXCEPTIONS": True,
                "CONNECTION_POOL_KWARGS": options,
            },
        },
        # What the coarse outer door counts in.
        "door": {"BACKEND": "core.middleware_door.DoorCache", "LOCATION": "door", "KEY_PREFIX": "door"},
    }


def security(public_url: str, cors_origins: list[str], streams_url: str = "") -> dict[str, Any]:
    """Return the settings of CSP, CORS, cookies and the outer door, by their names in Django."""
    is_https = public_url.startswith("https://")
    public = urlsplit(public_url)
    return {
        "CONTENT_SECURITY_POLICY": {
            "DIRECTIVES": {
                "default-src": [NONE],
                # Unfold's Alpine evaluates the expressions in its attributes: see docs/security-headers.md.
                "script-src": [SELF, NONCE, UNSAFE_EVAL],
                "style-src-elem": [SELF, NONCE],
                "style-src-attr": [UNSAFE_INLINE],
                "style-src": [SELF, NONCE],
                "img-src": [SELF, "data:"],
                "font-src": [SELF],
                "connect-src": [SELF, *([streams_url] if streams_url else [])],
                "form-action": [SELF],
                "base-uri": [SELF],
                "frame-ancestors": [NONE],
                "manifest-src": [SELF],
            }
        },
        "CORS_ALLOWED_ORIGINS": cors_origins,
        "CORS_URLS_REGEX": r"^/api/",
        "CORS_ALLOW_HEADERS": [
            *("accept", "authorization", "content-type", "idempotency-key", "if-match", "if-none-match"),
            *("traceparent", "x-organization", "x-request-id"),
        ],
        "CORS_EXPOSE_HEADERS": [
            *("ETag", "Idempotent-Replayed", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"),
            "X-Request-ID",
        ],
        "CORS_PREFLIGHT_MAX_AGE": 3600,
        "SESSION_COOKIE_SECURE": is_https,
        "CSRF_COOKIE_SECURE": is_https,
        # `check --deploy` looks for Django's own middleware by name (ours are subclasses), and TLS ends at the proxy.
        "SILENCED_SYSTEM_CHECKS": ["security.W002", "security.W003", "security.W008"],
        "CSRF_FAILURE_VIEW": "core.api.problems.csrf_failed",
        # Behind a proxy that ends TLS a form comes by http from a page of https.
        "CSRF_TRUSTED_ORIGINS": [f"{public.scheme}://{public.netloc}"],
        "SECURE_HSTS_SECONDS": 365 * 24 * 3600 if is_https else 0,
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": is_https,
        "SECURE_HSTS_PRELOAD": is_https,
        "RATELIMIT_USE_CACHE": "door",
        "LOGIN_REDIRECT_URL": "admin:index",
    }


def streams(url: str, per_process: int) -> dict[str, Any]:
    """Return the settings of live streams. Seconds: between heartbeats of an idle stream, between two looks at whether
    who reads still may, and until a reader that takes nothing is dropped."""
    return {
        "STREAMS_URL": url,
        "STREAMS_PER_PROCESS": per_process,
        "STREAMS_PER_PERSON": 10,
        "STREAMS_HEARTBEAT_SECONDS": 30.0,
        "STREAMS_RECHECK_SECONDS": 60.0,
        "STREAMS_BLOCKED_SECONDS": 60.0,
    }


def templates(base: Path) -> list[dict[str, Any]]:
    """Return TEMPLATES: ours first; those of Unfold and of Django's admin are loaded with a nonce."""
    names = ["django.template.context_processors.request"]
    names += ["django.contrib.auth.context_processors.auth", "django.contrib.messages.context_processors.messages"]
    loaders = ["django.template.loaders.filesystem.Loader", "core.headers.NonceLoader"]
    return [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [base / "templates"],
            "OPTIONS": {
                "context_processors": names,
                "loaders": [("django.template.loaders.cached.Loader", loaders)],
            },
        }
    ]
