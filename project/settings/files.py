"""Where files lie and how static ones are served."""

from __future__ import annotations

from typing import Any

_HASHED = "whitenoise.storage.CompressedManifestStaticFilesStorage"
NOT_WORTH_COMPRESSING = ["jpg", "jpeg", "png", "gif", "webp", "zip", "gz", "br", "zst", "woff", "woff2"]
_AS_THEY_ARE = "django.contrib.staticfiles.storage.StaticFilesStorage"


def files(*, is_hashed: bool) -> dict[str, Any]:
    """Return STORAGES. Hashed names carry their content: a browser may keep them for a year."""
    return {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        "staticfiles": {"BACKEND": _HASHED if is_hashed else _AS_THEY_ARE},
    }
