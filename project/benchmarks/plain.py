"""The measure: plain Django REST framework with simplejwt, as their tutorials set them up.

It reads the same rows of the same database through the same kind of pool, without sessions, access checks, limits,
idempotency, log lines or figures. It runs in a process of its own (`worker.py`).
"""

from __future__ import annotations

from typing import Any

from project.settings import BASE_DIR, REDIS_URL, SECRET_KEY, TEMPLATES  # noqa: F401 - settings are names
from project.settings import DATABASES as _DATABASES
from project.settings import INSTALLED_APPS as _APPS

DATABASES = {"default": {**_DATABASES["default"], "ENGINE": "django.db.backends.postgresql"}}
ROOT_URLCONF = "project.benchmarks.plain_urls"
AUTH_USER_MODEL = "accounts.User"
USE_TZ = True
ALLOWED_HOSTS = ["localhost"]
INSTALLED_APPS = [*_APPS, "rest_framework_simplejwt"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.CursorPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "PAGE_SIZE": 20,
}
