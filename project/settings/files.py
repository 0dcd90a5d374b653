"""Where files lie and how static ones are served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_HASHED = "whitenoise.storage.CompressedManifestStaticFilesStorage"
NOT_WORTH_COMPRESSING = ["jpg", "jpeg", "png", "gif", "webp", "zip", "gz", "br", "zst", "woff", "woff2"]
_AS_THEY_ARE = "django.contrib.staticfiles.storage.StaticFilesStorage"


def files(root: Path, *, is_hashed: bool) -> dict[str, Any]:
    """Return STORAGES, those of our own files below `root`, for our user alone. Hashed names of static files carry
    their content: a browser may keep them for a year."""
    private = {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
    return {
        "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
        # Never served by the web server itself: a view asks who may have them.
        "exports": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(root / "exports"), **private},
        },
        "staticfiles": {"BACKEND": _HASHED if is_hashed else _AS_THEY_ARE},
    }
