"""Conditions: which values a parameter takes, and when a condition has no value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.permissions.conditions import NoValue, UnusableParameter, check, compile_condition
from accounts.permissions.language import parse


def condition(parameters: str, expression: str) -> Any:
    text = f"model\n  schema 1.1\ntype user\ncondition it({parameters}) {{ {expression} }}\n"
    return parse(text).conditions["it"]


def holds(parameters: str, expression: str, **values: Any) -> bool:
    return compile_condition(condition(parameters, expression)).evaluate(None, values)


@pytest.mark.parametrize(
    ("kind", "value", "expression"),
    [
        ("bool", True, "it"),
        ("string", "<b>", 'it == "<b>"'),
        ("int", 3, "it == 3"),
        ("int", 3.0, "it == 3"),
        ("int", "9223372036854775807", "it == 9223372036854775807"),
        ("uint", "18446744073709551615", "it == 18446744073709551615u"),
        ("double", "0.5", "it == 0.5"),
        ("duration", "1h30m", 'it == duration("90m")'),
        ("duration", "-1.5s", 'it == duration("-1500ms")'),
        ("timestamp", "2026-01-01T00:00:00.5Z", 'it > timestamp("2026-01-01T00:00:00Z")'),
        ("timestamp", "2026-01-01T01:00:00+01:00", 'it == timestamp("2026-01-01T00:00:00Z")'),
        ("ipaddress", "10.1.2.3", 'it.in_cidr("10.0.0.0/8")'),
        ("ipaddress", "2001:db8::1", 'it.in_cidr("2001:db8::/32")'),
        ("list<string>", ["a", "b"], '"b" in it'),
        ("map<int>", {"a": 1}, "it.a == 1"),
        ("any", {"a": [1]}, "it.a.size() == 1"),
    ],
)
def test_takes_a_value_of_the_type(kind: str, value: Any, expression: str) -> None:
    assert holds(f"it: {kind}", expression, it=value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bool", "true"),
        ("string", 1),
        ("int", True),
        ("int", 1.5),
        ("int", "9223372036854775808"),
        ("uint", -1),
        ("double", "inf"),
        ("double", "nan"),
        ("duration", "1 hour"),
        ("duration", ""),
        pytest.param("int", "1e1000000", id="a number of a million digits"),
        pytest.param("duration", "1" * 100_000, id="a long text that is no duration"),
        ("timestamp", "2026-01-01T00:00:00"),
        ("timestamp", "yesterday"),
        ("ipaddress", "10.1.2"),
        ("list<string>", "a"),
        ("list<string>", [1]),
        ("map<int>", {"a": "x"}),
    ],
)
def test_refuses_a_value_of_another_type(kind: str, value: Any) -> None:
    with pytest.raises(UnusableParameter, match="The parameter 'it' is a"):
        compile_condition(condition(f"it: {kind}", "true")).evaluate(None, {"it": value})


def test_has_no_value_without_a_parameter_even_one_that_is_not_needed() -> None:
    with pytest.raises(NoValue) as caught:
        holds("x: int, y: int", "x < 100 || y < 50", x=10)
    assert caught.value.missing == ("y",)


def test_prefers_what_was_stored_with_the_tuple() -> None:
    compiled = compile_condition(condition("x: int", "x == 1"))
    assert compiled.evaluate({"x": 1}, {"x": 2}) is True


def test_has_no_value_when_cel_fails() -> None:
    with pytest.raises(NoValue, match="could not be evaluated"):
        holds("x: int", "1 / x == 1", x=0)


@pytest.mark.parametrize("expression", ["x <", "y == 1", 'x == "a"', "x + 1", "x.in_cidr('10.0.0.0/8')"])
def test_names_an_expression_that_does_not_compile(expression: str) -> None:
    fault = check(condition("x: int", expression))
    assert fault is not None
    assert fault.type == "invalid-condition"
    assert fault.place.line == 4


@given(st.integers(-(2**70), 2**70))
def test_takes_the_whole_numbers_of_64_bits_and_no_others(number: int) -> None:
    compiled = compile_condition(condition("x: int", "x == x"))
    if -(2**63) <= number < 2**63:
        assert compiled.evaluate(None, {"x": number}) is True
    else:
        with pytest.raises(UnusableParameter):
            compiled.evaluate(None, {"x": number})
