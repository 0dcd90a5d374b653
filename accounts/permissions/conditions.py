"""Conditions: CEL expressions over typed parameters, compiled once for each model.

Source of the types and their JSON forms: OpenFGA's documentation of conditions; of the language: the CEL specification.
A parameter comes from the tuple's stored context first, then from the request. A condition has no value when nobody
gave a parameter that it declares, needed or not: that is an error, never a no.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from accounts.permissions import language
from accounts.permissions.language.faults import Fault, FaultType
from accounts.permissions.language.model import Condition, Model, ParameterType

if TYPE_CHECKING:
    from cel_expr_python import cel

_PART: Final = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)"
_DURATION_PART: Final = re.compile(_PART)
_DURATION: Final = re.compile(f"([+-]?)((?:{_PART})+|0)")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_INT64: Final = range(-(2**63), 2**63)
_UINT64: Final = range(2**64)


class UnusableParameter(ValueError):
    """A value that its parameter's type does not take."""

    def __init__(self, parameter: str, kind: ParameterType, value: Any) -> None:
        self.parameter = parameter
        super().__init__(f"The parameter '{parameter}' is a {kind}; {value!r:.80} is none.")


class NoValue(ValueError):
    """The condition could not be evaluated; `missing` names parameters that nobody gave."""

    def __init__(self, condition: str, missing: tuple[str, ...] = (), why: str = "") -> None:
        self.missing = missing
        super().__init__(
            f"The condition '{condition}' needs {', '.join(missing)}."
            if missing
            else f"The condition '{condition}' could not be evaluated: {why}"
        )


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition ready to be asked."""

    condition: Condition
    expression: cel.Expression

    def evaluate(self, stored: Mapping[str, Any] | None, given: Mapping[str, Any]) -> bool:
        """Return whether the condition holds. Raises NoValue and UnusableParameter."""
        merged = {**given, **(stored or {})}
        parameters = self.condition.parameters
        missing = tuple(name for name in parameters if name not in merged)
        if missing:
            raise NoValue(self.condition.name, missing)
        values = {name: _convert(name, kind, kind, merged[name]) for name, kind in parameters.items()}
        found = self.expression.eval(data=values).plain_value()
        if not isinstance(found, bool):
            raise NoValue(self.condition.name, why=str(found))
        return found


def compile_condition(condition: Condition) -> Compiled:
    """Compile an expression, its types checked. Raises ValueError with CEL's own words."""
    from cel_expr_python import cel

    try:
        variables = {name: _cel_type(kind) for name, kind in condition.parameters.items()}
        environment = cel.NewEnv(variables=variables, functions=[_in_cidr()])
        expression = environment.compile(condition.expression)
    except RuntimeError as error:
        raise ValueError(str(error).removeprefix("INVALID_ARGUMENT: ")) from error
    if expression.return_type().name() not in ("BOOL", "DYN"):
        raise ValueError(f"the expression is a {expression.return_type().name()}, a condition is a bool")
    return Compiled(condition, expression)


def check(condition: Condition) -> Fault | None:
    """Return what is wrong with a condition's expression, or None."""
    try:
        compile_condition(condition)
    except ValueError as error:
        message = f"The condition `{condition.name}` does not compile: {error}"
        return Fault(FaultType.CONDITION_INVALID, message, condition.place, condition.name)
    return None


def faults_of(model: Model) -> list[Fault]:
    """Return all that is wrong with a model: with its relations, and with the expressions of its conditions."""
    return [*language.check(model), *filter(None, map(check, model.conditions.values()))]


def check_context(condition: Condition, context: Mapping[str, Any]) -> None:
    """Raise ValueError when a tuple's context names a parameter that the condition has not, or a value that its
    parameter does not take."""
    for name, value in context.items():
        kind = condition.parameters.get(name)
        if kind is None:
            known = ", ".join(sorted(condition.parameters))
            raise ValueError(f"the condition '{condition.name}' has no parameter '{name}'; it has {known}")
        _convert(name, kind, kind, value)


def _in_cidr() -> cel.FunctionDecl:
    """`ip.in_cidr("10.0.0.0/8")`, which OpenFGA adds to CEL."""
    from cel_expr_python import cel

    def in_cidr(address: str, network: str) -> bool:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)

    text = cel.Type.STRING
    return cel.FunctionDecl(
        "in_cidr", [cel.Overload("in_cidr", cel.Type.BOOL, [text, text], is_member=True, impl=in_cidr)]
    )


def _cel_type(kind: ParameterType) -> cel.Type:
    from cel_expr_python import cel

    plain = {
        "bool": cel.Type.BOOL,
        "string": cel.Type.STRING,
        "int": cel.Type.INT,
        "uint": cel.Type.UINT,
        "double": cel.Type.DOUBLE,
        "duration": cel.Type.DURATION,
        "timestamp": cel.Type.TIMESTAMP,
        "ipaddress": cel.Type.STRING,
        "any": cel.Type.DYN,
    }
    if kind.name == "list":
        return cel.Type.List(_cel_type(kind.of[0]))
    if kind.name == "map":
        return cel.Type.Map(cel.Type.STRING, _cel_type(kind.of[0]))
    return plain[kind.name]


# from JSON to what CEL takes


def _convert(parameter: str, whole: ParameterType, kind: ParameterType, value: Any) -> Any:
    try:
        if kind.name == "list":
            if not isinstance(value, list):
                raise TypeError
            return [_convert(parameter, whole, kind.of[0], item) for item in value]
        if kind.name == "map":
            if not isinstance(value, dict):
                raise TypeError
            return {str(key): _convert(parameter, whole, kind.of[0], item) for key, item in value.items()}
        return _CONVERTERS[kind.name](value)
    except UnusableParameter:
        raise
    except (TypeError, ValueError, OverflowError, InvalidOperation) as error:
        raise UnusableParameter(parameter, whole, value) from error


def _same(kind: type) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return check


def _whole(bounds: range) -> Callable[[Any], int]:
    """A whole number: as a number of JSON (1, 1.0) or as text ("1"), within its bounds."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError
        number = Decimal(str(value))
        # Compared before it becomes an integer: "1e1000000" would have a million digits.
        if not bounds.start <= number < bounds.stop or number != number.to_integral_value():
            raise ValueError
        return int(number)

    return convert


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    found = float(value)
    if not math.isfinite(found):
        raise ValueError
    return found


def _timestamp(value: Any) -> datetime:
    """RFC 3339, with its zone."""
    found = datetime.fromisoformat(_same(str)(value))
    if found.tzinfo is None:
        raise ValueError
    return found


def _duration(value: Any) -> timedelta:
    """Go's form: "1h30m", "-1.5s", "0"."""
    match = _DURATION.fullmatch(_same(str)(value))
    if match is None:  # told at once: looking for parts in a long text that is none takes the square of its length
        raise ValueError
    sign, parts = match[1], _DURATION_PART.findall(match[2])
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if sign == "-" else seconds)


def _address(value: Any) -> str:
    return str(ipaddress.ip_address(_same(str)(value)))


_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": _same(bool),
    "string": _same(str),
    "int": _whole(_INT64),
    "uint": _whole(_UINT64),
    "double": _double,
    "timestamp": _timestamp,
    "duration": _duration,
    "ipaddress": _address,
    "any": lambda value: value,
}
