"""Every environment variable of Countinghouse: once, with type, default and text.

`.env.example` and the settings reference are made from this table. `number` is what a fault is reported under
(`countinghouse.E007`): a new variable takes the next free one, wherever it stands, and none is ever given again.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from core.config import (
    REQUIRED,
    Variable,
    boolean,
    choice,
    integer,
    key_list,
    listing,
    network_list,
    number,
    port_list,
    text,
    url,
)
from project.settings.assistant import VARIABLES as ASSISTANT
from project.settings.permissions import VARIABLES as PERMISSIONS


def required_in_production(development: Any) -> Any:
    """Return a default that holds outside production only."""

    def default(kind: str) -> Any:
        return REQUIRED if kind == "production" else development

    return default


def origin(value: str) -> str:
    """The type of an address of which only scheme, host and port count; the empty one is allowed."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query):
        raise ValueError("expected http:// or https://, a host and no path")
    return value.rstrip("/")


def mail_url(value: str) -> str:
    """The type of `MAIL_URL`."""
    if value.split(":")[0] not in ("smtp", "file", "console"):
        raise ValueError("expected smtp://user:password@host:port?tls=1, file: or console:")
    return value


def strong(value: str, kind: str) -> None:
    """In production a secret is long, and not made of a few characters."""
    if kind == "production" and (len(value) < 50 or len(set(value)) < 10 or value.startswith("development-only")):
        raise ValueError("too weak for production")


def not_published(value: list[str], kind: str) -> None:
    """The key that development uses when it has none stands in this file."""
    if kind == "production" and _DEVELOPMENT_KEY in value:
        raise ValueError("the development key is known to everybody")


def off_in_production(value: bool, kind: str) -> None:
    if kind == "production" and value:
        raise ValueError("it must be off in production, where it would show secrets to whoever meets an error")


def no_plain_http(value: bool, kind: str) -> None:
    if kind == "production" and value:
        raise ValueError("webhooks carry business data and go over https in production")


def named_hosts(value: list[str], kind: str) -> None:
    if kind == "production" and "*" in value:
        raise ValueError("name the hosts: with * links can be forged")


def encrypted(value: str, kind: str) -> None:
    """In production people use https: cookies and HSTS follow from it. A trial on one machine may do without."""
    parts = urlsplit(value)
    if (
        value
        and kind == "production"
        and parts.scheme != "https"
        and parts.hostname not in ("localhost", "127.0.0.1", "::1")
    ):
        raise ValueError("expected https:// in production")


_DEVELOPMENT_KEY = "ZGV2ZWxvcG1lbnQtb25seS1lbmNyeXB0aW9uLWtleSE="

VARIABLES: list[Variable] = [
    Variable(
        "COUNTINGHOUSE_ENV",
        choice("development", "test", "production"),
        "development",
        "In production all secrets must be set and nothing is made up.",
        "Process",
        number=1,
    ),
    Variable(
        "COUNTINGHOUSE_PROCESS",
        choice("web", "command"),
        "command",
        "What this process is; `serve` sets it. The web keeps a pool and bounds each statement.",
        "Process",
        number=2,
    ),
    Variable(
        "SECRET_KEY",
        text,
        required_in_production("development-only-secret-key-development-only-secret-key"),
        "Signs cookies and cursors; at least 50 random characters.",
        "Security",
        is_secret=True,
        number=3,
        rule=strong,
    ),
    Variable(
        "ENCRYPTION_KEYS",
        key_list,
        required_in_production([_DEVELOPMENT_KEY]),
        "Keys that wrap the keys of persons: base64 of 32 bytes each; the first encrypts, all decrypt.",
        "Security",
        is_secret=True,
        number=4,
        rule=not_published,
    ),
    Variable(
        "TOKEN_SIGNING_KEYS",
        key_list,
        required_in_production([]),
        "Ed25519 private keys that sign access tokens: base64 of the 32-byte seed each; the first signs, all verify.",
        "Security",
        is_secret=True,
        number=5,
        rule=not_published,
    ),
    Variable(
        "ALLOWED_HOSTS",
        listing,
        ["localhost", "127.0.0.1", "[::1]"],
        "Host names served.",
        "Web",
        number=6,
        rule=named_hosts,
    ),
    Variable(
        "PUBLIC_URL",
        url("http", "https"),
        required_in_production("http://localhost:8000"),
        "The address that people use; https in production.",
        "Web",
        number=7,
        rule=encrypted,
    ),
    Variable(
        "TRUSTED_PROXIES",
        network_list,
        [],
        "Networks of the proxies in front, whose X-Forwarded-For is believed (10.0.0.0/8,::1).",
        "Web",
        number=8,
    ),
    Variable(
        "APP_URL",
        text,
        "",
        "The address of your client program, to which links in mails lead; empty: mails show the token alone.",
        "Mail",
        number=9,
    ),
    Variable(
        "MAIL_URL",
        mail_url,
        required_in_production("file:"),
        "How mail leaves: smtp://user:password@host:587?tls=1, file: (a folder) or console:.",
        "Mail",
        is_secret=True,
        number=10,
    ),
    Variable("MAIL_FROM", text, "Countinghouse <countinghouse@localhost>", "The sender of mails.", "Mail", number=11),
    Variable(
        "SESSIONS_PER_USER", integer, 10, "Sign-ins of one person at once; the oldest ends.", "Security", number=12
    ),
    Variable("CORS_ORIGINS", listing, [], "Origins whose pages may call the API.", "Web", number=13),
    Variable(
        "STREAMS_URL",
        origin,
        "",
        "The address of the live streams (`manage.py streams`), when a proxy does not lead /streams/ under PUBLIC_URL "
        "to them; https in production.",
        "Web",
        number=30,
        rule=encrypted,
    ),
    Variable("STREAMS_PER_PROCESS", integer, 2500, "Live streams that each process serves at most.", "Web", number=31),
    Variable(
        "DATABASE_URL",
        url("postgresql", "postgres"),
        required_in_production(""),
        "PostgreSQL as the product uses it; development brings its own.",
        "Servers",
        is_secret=True,
        number=14,
    ),
    Variable(
        "MIGRATION_DATABASE_URL",
        url("postgresql", "postgres"),
        "",
        "PostgreSQL as the owner of the tables, who migrates; empty: DATABASE_URL.",
        "Servers",
        is_secret=True,
        number=15,
    ),
    Variable(
        "REDIS_URL",
        url("redis", "rediss", "unix"),
        required_in_production(""),
        "Redis or Valkey for cache and limits; development brings its own.",
        "Servers",
        is_secret=True,
        number=16,
    ),
    Variable(
        "CELERY_BROKER_URL",
        text,
        "",
        "The broker (redis:// or amqp://); empty: REDIS_URL.",
        "Servers",
        is_secret=True,
        number=17,
    ),
    Variable("DATABASE_POOL_MIN", integer, 2, "Connections that each process keeps open.", "Servers", number=18),
    Variable("DATABASE_POOL_MAX", integer, 10, "Connections that each process opens at most.", "Servers", number=19),
    Variable(
        "DATABASE_STATEMENT_TIMEOUT_MS",
        integer,
        5000,
        "Milliseconds after which the web gives up a statement.",
        "Servers",
        number=20,
    ),
    Variable(
        "METRICS_TOKEN",
        text,
        "",
        "Bearer token that opens /metrics and the details of /health; empty: from this machine only.",
        "Web",
        is_secret=True,
        number=21,
    ),
    Variable(
        "SANDBOX_PAYMENTS",
        boolean,
        lambda kind: kind != "production",
        "Let customers pay by the embedded sandbox, which takes pretend money from everybody.",
        "Payments",
        number=29,
    ),
    Variable(
        "FILES_ROOT",
        text,
        "",
        "The folder of files that the product makes; web and workers share it. Empty: .countinghouse/files.",
        "Files",
        number=32,
    ),
    Variable("EXPORT_RETENTION_DAYS", integer, 7, "Days that an export can be downloaded.", "Files", number=33),
    Variable("JOB_RETENTION_DAYS", integer, 30, "Days that finished jobs are kept; dead ones stay.", "Jobs", number=22),
    Variable(
        "IDEMPOTENCY_LEASE",
        integer,
        30,
        "Seconds after which a request whose process died may be sent again with its key; longer than any request.",
        "Web",
        number=23,
    ),
    Variable(
        "LOG_FORMAT",
        choice("json", "console"),
        lambda kind: "json" if kind == "production" else "console",
        "One line of JSON for machines, or lines for people.",
        "Web",
        number=24,
    ),
    Variable(
        "LOG_LEVEL", choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "What is logged at least.", "Web", number=25
    ),
    Variable("RATE_LIMIT_SCALE", number, 1.0, "Multiplies every rate limit (load tests).", "Web", number=26),
    Variable(
        "STATIC_FILES_HASHED",
        boolean,
        lambda kind: kind == "production",
        "Serve static files under hashed names from `collectstatic`, cached for a year (`serve` does).",
        "Web",
        number=27,
    ),
    Variable(
        "NOTIFICATION_RETENTION_DAYS",
        integer,
        180,
        "Days that notifications are kept after they were read; what nobody has read stays.",
        "Mail",
        number=50,
    ),
    Variable(
        "WEBHOOK_ALLOWED_NETWORKS",
        network_list,
        lambda kind: [] if kind == "production" else ["127.0.0.0/8", "::1/128"],
        "Networks of your own to which webhooks may go although they are not public (10.20.0.0/16).",
        "Webhooks",
        number=40,
    ),
    Variable(
        "WEBHOOK_ALLOW_HTTP",
        boolean,
        lambda kind: kind != "production",
        "Let webhooks go to addresses without TLS; never in production.",
        "Webhooks",
        number=41,
        rule=no_plain_http,
    ),
    Variable(
        "WEBHOOK_PORTS",
        port_list,
        lambda kind: [443] if kind == "production" else [],
        "Ports to which webhooks may go; empty: any.",
        "Webhooks",
        number=42,
    ),
    Variable("WEBHOOK_TIMEOUT", number, 15.0, "Seconds that an endpoint may take to answer.", "Webhooks", number=43),
    Variable(
        "WEBHOOK_DISABLE_AFTER_DAYS",
        integer,
        5,
        "Days of failures alone after which an endpoint is disabled.",
        "Webhooks",
        number=44,
    ),
    Variable(
        "WEBHOOK_RETENTION_DAYS",
        integer,
        30,
        "Days that finished deliveries are kept, and can be sent again.",
        "Webhooks",
        number=45,
    ),
    Variable(
        "DEBUG", boolean, False, "Django's debug pages; never in production.", "Web", number=28, rule=off_in_production
    ),
    *ASSISTANT,
    *PERMISSIONS,
]
