"""Reading what a model wrote, whole and piece by piece."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai.completions import AnswerWords, parsed
from ai.errors import AnswerInvalid

_texts = st.text(max_size=40) | st.text(st.sampled_from('"\\\n\t/u{}😀é\u2028 a'), max_size=40)


def pieces(text: str, sizes: list[int]) -> list[str]:
    found, at = [], 0
    for size in [*sizes, len(text)]:
        found.append(text[at : at + size])
        at += size
    return found


@given(_texts, st.lists(st.integers(1, 9), max_size=60), st.booleans())
@example("😀", [12, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], True)
def test_tells_the_words_of_the_answer_however_it_is_cut(answer: str, sizes: list[int], is_ascii: bool) -> None:
    text = json.dumps({"answer": answer, "grounded": True, "citations": []}, ensure_ascii=is_ascii)
    words = AnswerWords()
    told = "".join(words.feed(piece) for piece in pieces(text, sizes))
    assert told == answer.replace("\x00", "\N{REPLACEMENT CHARACTER}")


@given(st.text(st.sampled_from('{}":,\\u dD8cCabnswer01'), max_size=60), st.lists(st.integers(1, 5), max_size=30))
def test_never_stumbles_over_what_is_no_answer(text: str, sizes: list[int]) -> None:
    for begin in ("", '{"answer": "'):
        words = AnswerWords()
        for piece in pieces(begin + text, sizes):
            words.feed(piece).encode()  # no lone surrogate leaves it


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=6))
def test_takes_the_shape_that_was_asked_for_and_no_other(value: object) -> None:
    for data in (value, {"answer": value, "grounded": True, "citations": []}, {"answer": "a", "grounded": value}):
        try:
            text, quotes, _ = parsed(json.dumps(data))
        except AnswerInvalid:
            continue
        assert isinstance(value, str)
        assert text == value.replace("\x00", "\N{REPLACEMENT CHARACTER}").strip()
        assert quotes == []


@pytest.mark.parametrize(
    "citation",
    [
        None,
        1,
        {},
        {"passage": 1},
        {"passage": True, "quote": "a"},
        {"passage": "1", "quote": "a"},
        {"passage": 1, "quote": 2},
    ],
)
def test_refuses_citations_of_another_shape(citation: object) -> None:
    with pytest.raises(AnswerInvalid):
        parsed(json.dumps({"answer": "a", "grounded": True, "citations": [citation]}))
