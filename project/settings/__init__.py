"""Django's settings, read from the environment (`variables.py`)."""

from __future__ import annotations

import os
from pathlib import Path

from core.config import Environment
from core.databases import databases
from core.embedded import keys
from core.telemetry import logs
from project.settings import accounts, assistant, operations, permissions
from project.settings.accounts import *  # noqa: F403
from project.settings.admin import UNFOLD as UNFOLD
from project.settings.celery import celery
from project.settings.files import NOT_WORTH_COMPRESSING, files
from project.settings.variables import VARIABLES

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = os.environ.get("COUNTINGHOUSE_ENV", "development")
# A development clone makes its secrets on first use and keeps them; production must be given them.
_kept = keys.persisted(BASE_DIR / ".countinghouse") if ENVIRONMENT == "development" else {}
_made = {name: value for name, value in _kept.items() if not os.environ.get(f"{name}_FILE")}
env = Environment.read(VARIABLES, {**_made, **os.environ}, kind=ENVIRONMENT)

SECRET_KEY = env["SECRET_KEY"]
ENCRYPTION_KEYS = env["ENCRYPTION_KEYS"]
TOKEN_SIGNING_KEYS = env["TOKEN_SIGNING_KEYS"]
DEBUG = env["DEBUG"]
ALLOWED_HOSTS = env["ALLOWED_HOSTS"]
PUBLIC_URL = env["PUBLIC_URL"]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "project.apps.AdminConfig",
    "project",  # before Django's: of two commands of one name the first is taken
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    "corsheaders",
    "django.contrib.postgres",  # operator classes of indexes
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "accounts.apps.AllauthConfig",
    "core",
    "audit",
    "search",
    "accounts",
    "billing",
    "notifications",
    "ai",
]

MIDDLEWARE = [
    "core.middleware.ContextMiddleware",
    "core.health_views.EarlyHealthMiddleware",
    "core.telemetry.middleware.ObserveMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "core.headers.CompressMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "core.pages.CSPMiddleware",
    "core.headers.SecurityHeadersMiddleware",
    "core.pages.DoorMiddleware",
    "core.pages.WhiteNoiseMiddleware",
    "core.pages.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "core.pages.CsrfViewMiddleware",
    "core.pages.AuthenticationMiddleware",
    "core.pages.MessageMiddleware",
]

AUTH_USER_MODEL = "accounts.User"
SESSIONS_PER_USER = env["SESSIONS_PER_USER"]
APP_URL = env["APP_URL"]
DEFAULT_FROM_EMAIL = env["MAIL_FROM"]
globals().update(accounts.mail(env["MAIL_URL"], BASE_DIR / ".countinghouse" / "mail"))

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
TEMPLATES = operations.templates(BASE_DIR)

DATABASE_URL = env["DATABASE_URL"]
MIGRATION_DATABASE_URL = env["MIGRATION_DATABASE_URL"]
DATABASES = databases(env)
REDIS_URL = env["REDIS_URL"]
BROKER_IS_OUR_REDIS = env["CELERY_BROKER_URL"] in ("", REDIS_URL)
globals().update(celery(env["CELERY_BROKER_URL"], REDIS_URL))
SANDBOX_PAYMENTS = env["SANDBOX_PAYMENTS"]
globals().update({variable.name: env[variable.name] for variable in (*assistant.VARIABLES, *permissions.VARIABLES)})
JOB_RETENTION_DAYS = env["JOB_RETENTION_DAYS"]
NOTIFICATION_RETENTION_DAYS = env["NOTIFICATION_RETENTION_DAYS"]
WEBHOOK_ALLOWED_NETWORKS = env["WEBHOOK_ALLOWED_NETWORKS"]
WEBHOOK_ALLOW_HTTP = env["WEBHOOK_ALLOW_HTTP"]
WEBHOOK_PORTS = env["WEBHOOK_PORTS"]
WEBHOOK_TIMEOUT = env["WEBHOOK_TIMEOUT"]
WEBHOOK_DISABLE_AFTER_DAYS = env["WEBHOOK_DISABLE_AFTER_DAYS"]
WEBHOOK_RETENTION_DAYS = env["WEBHOOK_RETENTION_DAYS"]
RATE_LIMIT_SCALE = env["RATE_LIMIT_SCALE"]
METRICS_TOKEN = env["METRICS_TOKEN"]
LOGGING_CONFIG = "core.telemetry.logs.configure"
LOGGING = logs.configuration(is_json=env["LOG_FORMAT"] == "json", level=env["LOG_LEVEL"])
CACHES = operations.caches(REDIS_URL)
globals().update(operations.security(PUBLIC_URL, env["CORS_ORIGINS"], env["STREAMS_URL"]))
globals().update(operations.streams(env["STREAMS_URL"], env["STREAMS_PER_PROCESS"]))
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
DJANGO_REDIS_LOGGER = "core.cache.redis"

LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "project.formats"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
FILES_ROOT = Path(env["FILES_ROOT"] or BASE_DIR / ".countinghouse" / "files")
EXPORT_RETENTION_DAYS = env["EXPORT_RETENTION_DAYS"]
STORAGES = files(FILES_ROOT, is_hashed=env["STATIC_FILES_HASHED"])
WHITENOISE_USE_FINDERS = not env["STATIC_FILES_HASHED"]
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = ["map", *NOT_WORTH_COMPRESSING]
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

IDEMPOTENCY_LEASE = env["IDEMPOTENCY_LEASE"]
TRUSTED_PROXIES = env["TRUSTED_PROXIES"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "core.api.schema.Schema",
    "EXCEPTION_HANDLER": "core.api.problems.exception_handler",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.BearerAuthentication"],
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Countinghouse",
    "DESCRIPTION": "The back office and API core of a software company.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": [],
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "COMPONENT_SPLIT_PATCH": False,  # a body is described as it is declared
    "COMPONENT_NO_READ_ONLY_REQUIRED": False,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    # Choices stand where they are used: two fields named "status" are two things.
    "POSTPROCESSING_HOOKS": ["core.api.schema.finish"],
}
