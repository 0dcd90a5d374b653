"""The mapping file of an import: which column of the file is what. Described in `docs/how-to/import-customers.md`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from billing.models import Interval, PaymentMethodKind
from core.money import is_currency
from core.time_zones import is_time_zone


class MappingInvalid(ValueError):
    """The mapping file cannot be used. `faults` are sentences that name line and field."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file, checked. Fields that end in `_column` name a column of the file."""

    source: str
    currency: str
    time_zone: str
    product: str
    external_id_column: str
    name_column: str
    email_column: str | None
    amount_column: str
    interval: str
    interval_count: int
    started_column: str
    started_is_months: bool
    started_format: str
    ended_column: str | None
    ended_values: frozenset[str]
    ended_on_column: str | None
    term_column: str | None
    method_column: str | None
    method_provider: str
    method_reference: str
    method_reference_column: str | None
    method_kinds: dict[str, str]
    ignored: tuple[str, ...]

    @property
    def columns(self) -> set[str]:
        """Every column that is read."""
        named = (
            self.external_id_column,
            self.name_column,
            self.email_column,
            self.amount_column,
            self.started_column,
            self.ended_column,
            self.ended_on_column,
            self.term_column,
            self.method_column,
            self.method_reference_column,
        )
        return {column for column in named if column}

    def check_header(self, header: list[str]) -> None:
        """Compare with the first line of the file: each column is mapped or ignored, each mapped one is there. Raises
        `MappingInvalid`."""
        present = set(header)
        faults = [f"column {column!r} is mapped, but the file has no such column" for column in self.columns - present]
        known = self.columns | set(self.ignored)
        faults += [
            f"column {column!r} is neither mapped nor under 'ignored'" for column in header if column not in known
        ]
        if len(present) < len(header):
            faults.append("the file's first line names a column twice")
        if faults:
            raise MappingInvalid(sorted(faults))


@dataclass
class _Section:
    """One block of the file; collects faults with their line instead of stopping at the first."""

    path: str
    node: yaml.Node | None
    faults: list[str]
    _read: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.values: dict[str, yaml.Node] = {}
        if isinstance(self.node, yaml.MappingNode):
            self.values = {str(key.value): value for key, value in self.node.value}
        elif self.node is not None:
            self.fault("", "must hold named fields", self.node)

    def fault(self, name: str, text: str, node: yaml.Node | None = None) -> None:
        node = node or self.values.get(name) or self.node
        line = f"line {node.start_mark.line + 1}, " if node is not None else ""
        where = ".".join(part for part in (self.path, name) if part) or "the file"
        self.faults.append(f"{line}{where}: {text}")

    def section(self, name: str, *, is_required: bool = False) -> _Section:
        self._read.add(name)
        if is_required and name not in self.values:
            self.fault(name, "is missing")
        return _Section(".".join(part for part in (self.path, name) if part), self.values.get(name), self.faults)

    def text(self, name: str, default: str | None = None) -> str:
        self._read.add(name)
        node = self.values.get(name)
        if node is None:
            if default is None and self.node is not None:
                self.fault(name, "is missing")
            return default or ""
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            self.fault(name, "must be a text")
            return default or ""
        return str(node.value).strip()

    def one_of(self, name: str, choices: list[str], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.fault(name, f"{value!r} is none of {', '.join(choices)}")
        return value

    def texts(self, name: str) -> list[str]:
        self._read.add(name)
        node = self.values.get(name)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode) or not all(isinstance(n, yaml.ScalarNode) for n in node.value):
            self.fault(name, "must be a list of texts")
            return []
        return [str(item.value) for item in node.value]

    def pairs(self, name: str) -> dict[str, str]:
        self._read.add(name)
        node = self.values.get(name)
        if node is None:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.fault(name, "must hold pairs of texts")
            return {}
        return {str(key.value): str(value.value) for key, value in node.value}

    def finish(self) -> None:
        for name in self.values:
            if name not in self._read:
                self.fault(name, f"is no known field; known here: {', '.join(sorted(self._read))}")


def read(path: Path) -> Mapping:
    """Read and check a mapping file. Raises `MappingInvalid`, naming every fault at once."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise MappingInvalid([f"{path}: {error.strerror}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise MappingInvalid([f"{line}not YAML: {getattr(error, 'problem', None) or error}"]) from None
    if root is None:
        raise MappingInvalid(["the file is empty"])
    faults: list[str] = []
    mapping = _read(_Section("", root, faults))
    if faults:
        raise MappingInvalid(faults)
    return mapping


def _read(top: _Section) -> Mapping:
    customer = top.section("customer", is_required=True)
    subscription = top.section("subscription", is_required=True)
    started = subscription.section("started", is_required=True)
    ended, method = subscription.section("ended"), top.section("payment_method")
    external_id = customer.text("external_id")
    values: dict[str, Any] = {
        "source": top.text("source"),
        "currency": top.text("currency"),
        "time_zone": top.text("time_zone", "UTC"),
        "ignored": tuple(top.texts("ignored")),
        "external_id_column": external_id,
        "name_column": customer.text("name", external_id),
        "email_column": customer.text("email", "") or None,
        "product": subscription.text("product"),
        "amount_column": subscription.text("amount"),
        "interval": subscription.one_of("interval", list(Interval.values), Interval.MONTH.value),
        "interval_count": _count(subscription),
        "term_column": subscription.text("term", "") or None,
        **_started(started),
        "ended_column": ended.text("column", "") or None,
        "ended_values": frozenset(ended.texts("values")),
        "ended_on_column": ended.text("on", "") or None,
        "method_column": method.text("label", "") or None,
        "method_provider": method.text("provider", "sandbox"),
        "method_reference": method.text("reference", "tok_success"),
        "method_reference_column": method.text("reference_column", "") or None,
        "method_kinds": method.pairs("kinds"),
    }
    if values["currency"] and not is_currency(values["currency"]):
        top.fault("currency", f"{values['currency']!r} is no ISO 4217 currency")
    if not is_time_zone(values["time_zone"]):
        top.fault("time_zone", f"{values['time_zone']!r} is no IANA time zone")
    if ended.values and not values["ended_on_column"] and not (values["ended_column"] and values["ended_values"]):
        ended.fault("", "needs 'column' with 'values', or 'on' (a column of dates)")
    if values["method_provider"] != "sandbox" and not values["method_reference_column"]:
        method.fault("reference_column", "is needed: the provider knows each means of payment by a reference")
    for kind in values["method_kinds"].values():
        if kind not in PaymentMethodKind.values:
            method.fault("kinds", f"{kind!r} is none of {', '.join(PaymentMethodKind.values)}")
    for section in (top, customer, subscription, started, ended, method):
        section.finish()
    return Mapping(**values)


def _started(section: _Section) -> dict[str, Any]:
    months, day = section.text("months_since", ""), section.text("on", "")
    if section.node is not None and bool(months) == bool(day):
        section.fault("", "needs either 'months_since' or 'on'")
    return {
        "started_column": months or day,
        "started_is_months": bool(months),
        "started_format": section.text("format", "%Y-%m-%d"),
    }


def _count(section: _Section) -> int:
    text = section.text("interval_count", "1")
    if not text.isdecimal() or not 1 <= int(text) <= 366:
        section.fault("interval_count", f"{text!r} is no whole number from 1 to 366")
        return 1
    return int(text)
