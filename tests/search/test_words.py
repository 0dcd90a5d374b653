"""Words, spellings, marks and passages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ids import new_id
from search import analysis, misspellings
from search.documents import Document
from search.selectors import highlights
from search.selectors.passages import LONGEST, split


@pytest.mark.parametrize(
    ("word", "stem"),
    [("invoices", "invoice"), ("companies", "company"), ("bus", "bus"), ("status", "status"), ("address", "address"),
     ("gas", "gas"), ("employees", "employee"), ("James", "jame"), ("Hope", "hope")],
)  # fmt: skip
def test_takes_plurals_off(word, stem):
    assert [each.stem for each in analysis.words(word)] == [stem]


def test_folds_case_and_accents():
    assert analysis.fold("ÅNGSTRÖM Straße") == "angstrom strasse"
    assert [each.folded for each in analysis.words("snake_case a@b.example 7590-VHVEG")] == [
        "snake", "case", "a", "b", "example", "7590", "vhveg",
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_keeps_the_place_of_every_word(text):
    end = 0
    for word in analysis.words(text):
        assert end <= word.start < word.end <= len(text)
        assert len(word.folded) <= analysis.LONGEST_WORD
        end = word.end


@given(st.text("abcde", min_size=1, max_size=5), st.text("abcde", min_size=1, max_size=6))
def test_knows_all_spellings_one_letter_away(one, other):
    assert (other in misspellings.variants(one)) == (misspellings.edits(one, other, 1) == 1)


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("hope", "hope", 0), ("hope", "hoep", 1), ("gracious", "gracoius", 1), ("kitten", "sitting", 3), ("", "ab", 2)],
)
def test_counts_edits(one, other, distance):
    assert misspellings.edits(one, other, 9) == misspellings.edits(other, one, 9) == distance


@pytest.mark.parametrize(("word", "allowed"), [("ab", 0), ("abc", 1), ("abcde", 1), ("abcdef", 2), ("in2024", 0)])
def test_allows_longer_words_more(word, allowed):
    assert misspellings.allowed(word) == allowed


# --- marks ---


def test_marks_the_part_of_a_body_with_most_of_it():
    body = "refund. " + "filler " * 200 + "how to refund an invoice twice " + "filler " * 200
    found = highlights.of(Document(new_id(), "Help", None, 1, body=body), {"refund", "invoice"}, "refund invoice")
    assert [each.field for each in found] == ["body"]
    [body_highlight] = found
    assert body_highlight.is_cut_before
    assert body_highlight.is_cut_after
    marked = [body_highlight.text[start:end] for start, end in body_highlight.marks]
    assert marked == ["refund", "invoice"]
    assert body_highlight.text in body


@given(st.text(max_size=600), st.sets(st.sampled_from("abc"), max_size=2), st.text(max_size=8))
def test_marks_only_what_is_there(text, words, question):
    document = Document(new_id(), text, None, 1, subtitle=text, body=text, keys=(text,))
    for each in highlights.of(document, words, question):
        for start, end in each.marks:
            assert 0 <= start < end <= len(each.text)
            assert each.field == "keys" or {word.stem for word in analysis.words(each.text[start:end])} <= words


# --- passages ---


@given(st.text("ab. \n", max_size=4000))
def test_splits_a_text_without_losing_a_word(text):
    places = list(split(text))
    end = 0
    for start, stop in places:
        assert end <= start < stop <= start + LONGEST
        assert not text[end:start].strip()
        end = stop
    assert not text[end:].strip()


def test_keeps_a_heading_with_what_follows():
    text = "# Refund\n\nOpen the payment.\n\n" + "Long. " * 160 + "\n\n# Other\n\nMore."
    assert text[slice(*next(split(text)))] == "# Refund\n\nOpen the payment."


def test_keeps_what_announces_something_with_it():
    text = "Long. " * 120 + "\n\nSay it by hand:\n\n" + "    $ command\n" * 30
    first, second = split(text)
    assert text[slice(*first)].endswith("Long.")
    assert text[slice(*second)].startswith("Say it by hand:")


@pytest.mark.parametrize(
    "those",
    [
        ("rotate", "rotated", "rotating", "rotates"),
        ("export", "exported", "exports"),
        ("number", "numbered", "numbering"),
        ("cancel", "canceled", "cancelled", "cancelling"),
        ("verify", "verified", "verifies"),
    ],
)
def test_knows_the_forms_of_a_word(those):
    assert len({analysis.root(each) for each in those}) == 1
    for each in those:
        assert {analysis.stem(other) for other in those} - {analysis.stem(each)} <= {*analysis.forms(each)}


@pytest.mark.parametrize(("one", "other"), [("setting", "set"), ("billing", "bill"), ("string", "str"), ("need", "ne")])
def test_leaves_strangers_apart(one, other):
    assert analysis.root(one) != analysis.root(other)
