"""Settings of what surrounds the business: cache, logs, security headers: functions of the environment."""

from __future__ import annotations

from typing import Any

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
        # What the coarse outer door counts in while Redis is down.
        "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "process"},
    }
