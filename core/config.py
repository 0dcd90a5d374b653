"""Settings from the environment: each variable stands once, with type, default and text.

All faults are found before any is reported; a start with faults stops with one numbered list. `NAME_FILE` may name a
file that holds the value of `NAME` (secrets as files).
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_KEY_BYTES = 32
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(value: str) -> str:
    return value


def boolean(value: str) -> bool:
    lowered = value.strip().lower()
    if lowered in _TRUE | _FALSE:
        return lowered in _TRUE
    raise ValueError("expected one of true, false, yes, no, on, off, 1, 0")


def integer(value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise ValueError("expected a whole number") from None


def number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("expected a number") from None


def listing(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def network_list(value: str) -> list[str]:
    """A list of IP networks ("10.0.0.0/8,::1")."""
    parts = listing(value)
    for part in parts:
        try:
            ipaddress.ip_network(part, strict=False)
        except ValueError:
            raise ValueError(f"{part!r} is no network such as 10.0.0.0/8") from None
    return parts


def port_list(value: str) -> list[int]:
    """A list of TCP ports ("443,8443")."""
    ports = [int(part) if part.isascii() and part.isdigit() else 0 for part in listing(value)]
    if not all(0 < port < 65536 for port in ports):
        raise ValueError("expected ports such as 443,8443")
    return ports


def url(*schemes: str) -> Callable[[str], str]:
    """Return the type of a URL with one of `schemes`."""

    def parse(value: str) -> str:
        if urlsplit(value).scheme not in schemes:
            raise ValueError(f"expected a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return value

    parse.__name__ = "URL"
    return parse


def key_list(value: str) -> list[str]:
    """A list of keys: base64 of 32 bytes each."""
    parts = listing(value)
    for place, part in enumerate(parts, 1):
        try:
            size = len(base64.b64decode(part, validate=True))
        except ValueError:
            size = 0
        if size != _KEY_BYTES:
            raise ValueError(f"number {place} is not base64 of {_KEY_BYTES} bytes")  # the text itself is a secret
    if not parts:
        raise ValueError("at least one key is needed")
    return parts


def choice(*choices: str) -> Callable[[str], str]:
    """Return the type of a word out of `choices`."""

    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return value

    parse.__name__ = "one of " + ", ".join(choices)
    return parse


REQUIRED = object()


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable. `default` is a value of the type, REQUIRED, or a function of the environment name
    (`development`, `test`, `production`) that returns either. `number` names its faults, and never changes. `rule`
    raises ValueError for a value that the environment (its second argument) forbids, `fits` for one that does not go
    with the other variables (its second argument; it is asked when they all could be read)."""

    name: str
    type: Callable[[str], Any]
    default: Any
    help: str
    group: str
    is_secret: bool = False
    number: int = 0
    rule: Callable[[Any, str], None] | None = None
    fits: Callable[[Any, Mapping[str, Any]], None] | None = None

    def fault(self, fault: Exception) -> str:
        """Return the line by which a fault of this variable is told."""
        return f"countinghouse.E{self.number:03d} {self.name}: {fault}. {self.help}"


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables as read. Ask by `env["NAME"]`."""

    values: Mapping[str, Any]
    faults: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @classmethod
    def read(cls, variables: Iterable[Variable], source: Mapping[str, str], *, kind: str) -> Environment:
        """Read and check all `variables` from `source`; `kind` is the environment's name. Raises ImproperlyConfigured
        with one numbered line for each fault."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        known = list(variables)
        for variable in known:
            try:
                values[variable.name] = _value(variable, source, kind)
            except (ValueError, OSError) as fault:
                faults.append(variable.fault(fault))
        for variable in () if faults else known:
            try:
                if variable.fits is not None:
                    variable.fits(values[variable.name], values)
            except ValueError as fault:
                faults.append(variable.fault(fault))
        if faults:
            raise ImproperlyConfigured("\n".join(["The settings have faults:", *faults]))
        return cls(values)


def _value(variable: Variable, source: Mapping[str, str], kind: str) -> Any:
    value = _read(variable, source, kind)
    if variable.rule is not None:
        variable.rule(value, kind)
    return value


def _read(variable: Variable, source: Mapping[str, str], kind: str) -> Any:
    raw = source.get(variable.name)
    file = source.get(f"{variable.name}_FILE")
    if file:
        if raw:
            raise ValueError(f"both {variable.name} and {variable.name}_FILE are set")
        raw = Path(file).read_text(encoding="utf-8").strip()
    if raw:
        return variable.type(raw)
    default = variable.default(kind) if callable(variable.default) else variable.default
    if default is REQUIRED:
        raise ValueError("it is not set")
    return default
