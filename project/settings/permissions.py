"""Who answers questions of permission: our engine inside PostgreSQL, or an OpenFGA server that follows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from core.config import Variable, choice, integer, number, text, url

LOCAL: Final = "local"
OPENFGA: Final = "openfga"
_GROUP: Final = "Permissions"
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def certificates(value: str) -> str:
    """A file of PEM certificates."""
    if "BEGIN CERTIFICATE" not in Path(value).read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{value} holds no PEM certificate")
    return value


def given_for_openfga(value: str, others: Mapping[str, Any]) -> None:
    if others["PERMISSIONS_PROVIDER"] == OPENFGA and not value:
        raise ValueError("it is not set, and PERMISSIONS_PROVIDER is openfga")


def not_in_the_open(value: str, others: Mapping[str, Any]) -> None:
    """A token is a password: it leaves this machine by TLS alone."""
    parts = urlsplit(others["OPENFGA_URL"])
    if value and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("it would be sent in the open: OPENFGA_URL must begin with https://")


def some_seconds(value: float, kind: str) -> None:
    if not 0.1 <= value <= 30:
        raise ValueError("expected 0.1 to 30")


def not_below_zero(value: int, kind: str) -> None:
    if value < 0:
        raise ValueError("expected 0 or more")


VARIABLES: list[Variable] = [
    Variable(
        "PERMISSIONS_PROVIDER",
        choice(LOCAL, OPENFGA),
        LOCAL,
        "Who answers who may do what: local asks PostgreSQL; openfga asks a server that the relay carries tuples to.",
        _GROUP,
        number=70,
    ),
    Variable(
        "OPENFGA_URL",
        url("http", "https"),
        "",
        "The HTTP address of the OpenFGA server: https://openfga.example.com:8080.",
        _GROUP,
        number=71,
        fits=given_for_openfga,
    ),
    Variable(
        "OPENFGA_STORE",
        text,
        "countinghouse",
        "The name of the store on the OpenFGA server (made when it is not there), or its id.",
        _GROUP,
        number=72,
    ),
    Variable(
        "OPENFGA_TOKEN",
        text,
        "",
        "The preshared key of the OpenFGA server.",
        _GROUP,
        is_secret=True,
        number=73,
        fits=not_in_the_open,
    ),
    Variable(
        "OPENFGA_CA_FILE",
        certificates,
        "",
        "A file of certificates (PEM) of the authority that signed the OpenFGA server's; empty: the usual ones.",
        _GROUP,
        number=74,
    ),
    Variable(
        "OPENFGA_TIMEOUT",
        number,
        1.0,
        "Seconds that the OpenFGA server may take for an answer, twice; then PostgreSQL is asked.",
        _GROUP,
        number=75,
        rule=some_seconds,
    ),
    Variable(
        "PERMISSION_CACHE_ENTRIES",
        integer,
        50_000,
        "Answers that each process keeps at most while no tuple changes, some 500 bytes each; 0: none.",
        _GROUP,
        number=76,
        rule=not_below_zero,
    ),
]
