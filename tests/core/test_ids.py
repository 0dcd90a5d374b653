from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ids
from core.models import with_public_ids


@given(st.uuids())
def test_reads_back_what_it_wrote(value: UUID) -> None:
    assert ids.split(ids.encode("sub", value)) == ("sub", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("prefix_00000000000000000000000000", UUID(int=0)),
        ("prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz", UUID(int=2**128 - 1)),
        ("prefix_0123456789abcdefghjkmnpqrs", UUID("0110c853-1d09-52d8-d73e-1194e95b5f19")),
        ("prefix_01h455vb4pex5vsknk084sn02q", UUID("01890a5d-ac96-774b-bcce-b302099a8057")),
    ],
)
def test_agrees_with_the_vectors_of_the_typeid_specification(text: str, value: UUID) -> None:
    assert ids.encode("prefix", value) == text
    assert ids.decode("prefix", text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sub",
        "sub_",
        "sub_8zzzzzzzzzzzzzzzzzzzzzzzzz",  # more than 128 bits
        "sub_0123456789ABCDEFGHJKMNPQRS",
        "sub_0123456789abcdefghijkmnpqr",  # i is no digit
        "SUB_00000000000000000000000000",
        "sub_00000000000000000000000000\n",
        "sub-00000000000000000000000000",
    ],
)
def test_refuses_what_is_no_id(text: str) -> None:
    with pytest.raises(ids.MalformedId):
        ids.split(text)


def test_refuses_the_id_of_another_kind() -> None:
    with pytest.raises(ids.MalformedId, match="begin with 'sub_'"):
        ids.decode("sub", ids.encode("inv", ids.new_id()))


def test_makes_ids_that_rise() -> None:
    made = [ids.new_id() for _ in range(5_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {value.version for value in made} == {7}


def test_tells_when_an_id_was_made() -> None:
    assert abs(ids.moment_of(ids.new_id()) - datetime.now(UTC)) < timedelta(seconds=5)


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_bounds_a_moment_from_below(moment: datetime) -> None:
    bound = ids.lowest_id(moment)
    assert bound.version == 7
    assert timedelta(0) <= moment - ids.moment_of(bound) < timedelta(milliseconds=2)


def test_shows_what_names_an_object_by_its_public_id() -> None:
    key, unknown = UUID(int=7), str(UUID(int=8))
    shown = with_public_ids(
        {
            "invoice_id": str(key),
            "default_payment_method_id": str(key),
            "invoice_ids": [str(key)],
            "nested": {"customer_id": str(key), "customer_name": unknown},
            "command_id": unknown,
            "price_id": "not a key",
            "user_id": None,
            "amount_minor": 7,
        }
    )
    assert shown == {
        "invoice_id": ids.encode("inv", key),
        "default_payment_method_id": ids.encode("pm", key),
        "invoice_ids": [ids.encode("inv", key)],
        "nested": {"customer_id": ids.encode("cus", key), "customer_name": unknown},
        "command_id": unknown,
        "price_id": "not a key",
        "user_id": None,
        "amount_minor": 7,
    }
