"""The bytes that are hashed: RFC 8785, whatever the shortcut."""

from __future__ import annotations

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import LARGEST_EXACT_INTEGER, normalized
from audit.leaves import canonical

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
plain = st.text(alphabet=st.characters(max_codepoint=127, exclude_characters="\x00"), max_size=8)
scalars = st.none() | st.booleans() | st.integers() | texts | plain
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | plain, inner, max_size=4)
)


@given(values)
def test_are_those_of_the_rfc(value) -> None:
    ready = normalized(value)
    assert canonical(ready) == rfc8785.dumps(ready)


@given(st.integers())
def test_hold_no_integer_that_a_double_would_round(value) -> None:
    ready = normalized(value)
    assert str(ready) == str(value)
    assert isinstance(ready, str) == (abs(value) > LARGEST_EXACT_INTEGER)


def test_order_keys_by_utf_16_units() -> None:
    assert canonical({"\U00010000": 1, "\uffff": 2}) == '{"\U00010000":1,"\uffff":2}'.encode()
