"""What every index must do, whoever provides it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

import pytest

from core.ids import new_id
from search.documents import Document
from search.providers.base import Found, Grant, Place, Provider, Query, Scope, Written
from search.providers.local import LocalProvider

pytestmark = pytest.mark.django_db

KIND, OTHER_KIND = "toy", "gadget"
OURS, THEIRS = new_id(), new_id()
EVERYTHING = Scope((Grant(frozenset({KIND, OTHER_KIND}), None),))
MEMBER = Scope((Grant(frozenset({KIND, OTHER_KIND}), frozenset({OURS})),), public_types=frozenset({KIND, OTHER_KIND}))


@pytest.fixture
def provider(db: None) -> Provider:
    return LocalProvider()


def a(title: str, **given) -> Document:
    return Document(**{"id": new_id(), "title": title, "organization_id": OURS, "version": 1, **given})


def put(provider: Provider, *documents: Document, kind: str = KIND, gone: Iterable[UUID] = ()) -> Written:
    with provider.turn() as stamp:
        return provider.write(kind, documents, list(gone), stamp)


def ask(provider: Provider, text: str, scope: Scope = EVERYTHING, **given) -> Found:
    return provider.find(Query(text, scope, **given))


def titles(found: Found) -> list[str]:
    return [match.document.title for match in found.matches]


# --- finding ---


@pytest.mark.parametrize(
    "text",
    [
        "gracious",
        "Gracious Hope",
        "hope GRACIOUS",
        "gracious ho",
        "hopes",
        "GRÁCIOUS",
        "the gracious",
        "7590-vh",
        "hope@",
    ],
)
def test_finds_by_words_and_by_the_beginning_of_keys(provider, text):
    wanted = a("Gracious Hope", subtitle="hope@example.com", keys=("7590-VHVEG", "Hope@example.com"))
    put(provider, wanted, a("Other One", subtitle="other@example.com", keys=("8888-OTHER",)))
    found = ask(provider, text)
    assert titles(found) == ["Gracious Hope"]
    assert found.total == 1
    assert found.matches[0].document == wanted


@pytest.mark.parametrize(
    "text", ["", " ", "%", "%%", "__", "'", "\\", "!&|():*", "<->", "zebra", "gracious zebra", "ope"]
)
def test_finds_nothing_in_what_is_not_there(provider, text):
    put(provider, a("Gracious Hope"))
    found = ask(provider, text)
    assert (titles(found), found.total, dict(found.types), dict(found.facets)) == ([], 0, {}, {})


@pytest.mark.parametrize("text", ["ous hope", "gracoius", "hoep gracious", "racio", "müler"])
def test_finds_parts_of_words_and_misspellings_when_told(provider, text):
    put(provider, a("Gracious Hope Müller"), a("Other One"))
    assert titles(ask(provider, text)) == []
    assert titles(ask(provider, text, is_relaxed=True)) == ["Gracious Hope Müller"]


def test_finds_any_of_the_words_when_not_all_are_needed(provider):
    put(provider, a("Refund a payment"), a("Cancel a plan"), a("Something else"))
    assert set(titles(ask(provider, "how do I refund or cancel", needs_all=False))) == {
        "Refund a payment",
        "Cancel a plan",
    }


def test_looks_for_stop_words_where_there_are_no_others(provider):
    put(provider, a("Will May"), a("Rose Hall"))
    assert titles(ask(provider, "will")) == ["Will May"]


def test_finds_words_of_other_scripts(provider):
    put(provider, a("東京 電話"), a("Москва Ленина"), a("Ελλάδα"))
    assert titles(ask(provider, "東京")) == ["東京 電話"]
    assert titles(ask(provider, "ЛЕНИНА моск")) == ["Москва Ленина"]
    assert titles(ask(provider, "ελλαδα")) == ["Ελλάδα"]


# --- ranking ---


def test_ranks_rare_words_and_short_documents_higher(provider):
    common = [a(f"Filler {number}", body="invoice") for number in range(20)]
    rare = a("Rare", body="invoice zebra")
    long = a("Long", body="invoice zebra " + "word " * 200)
    put(provider, rare, long, *common)
    assert titles(ask(provider, "invoice zebra")) == ["Rare", "Long"]
    found = ask(provider, "invoice zebra", needs_all=False)
    assert titles(found)[:2] == ["Rare", "Long"]
    scores = [match.score for match in found.matches]
    assert scores == sorted(scores, reverse=True)


def test_ranks_a_whole_key_first(provider):
    put(provider, a("INV-1 INV-1 INV-1"), a("Wanted", keys=("INV-1",)), a("Other", keys=("INV-10",)))
    assert titles(ask(provider, "inv-1"))[0] == "Wanted"


def test_ranks_what_was_typed_above_what_it_begins(provider):
    put(provider, a("Hopeful"), a("Hope"))
    assert titles(ask(provider, "hope")) == ["Hope", "Hopeful"]


# --- who asks ---


def test_finds_and_counts_only_what_the_scope_grants(provider):
    put(
        provider,
        a("Red ours", facets={"state": "on"}),
        a("Red theirs", organization_id=THEIRS, facets={"state": "off"}),
        a("Red nobody's", organization_id=None, facets={"state": "secret"}),
        a("Red public", organization_id=None, is_public=True, facets={"state": "on"}),
    )
    found = ask(provider, "red", MEMBER)
    assert set(titles(found)) == {"Red ours", "Red public"}
    assert (found.total, found.types, found.facets) == (2, {KIND: 2}, {"state": {"on": 2}})
    assert ask(provider, "red").total == 4
    assert ask(provider, "red", Scope()).total == 0
    assert titles(ask(provider, "red", Scope(public_types=frozenset({KIND})))) == ["Red public"]
    assert ask(provider, "red", Scope(public_types=frozenset({OTHER_KIND}))).total == 0
    assert ask(provider, "red", Scope((Grant(frozenset({KIND}), frozenset()),))).total == 0


def test_grants_each_kind_for_itself(provider):
    put(provider, a("Red toy"), a("Red toy next door", organization_id=THEIRS))
    put(provider, a("Red gadget"), a("Red gadget next door", organization_id=THEIRS), kind=OTHER_KIND)
    scope = Scope((Grant(frozenset({KIND}), frozenset({OURS})), Grant(frozenset({OTHER_KIND}), frozenset({THEIRS}))))
    assert set(titles(ask(provider, "red", scope))) == {"Red toy", "Red gadget next door"}


def test_finds_single_documents_that_are_granted_wherever_they_belong(provider):
    shared = a("Red shared", organization_id=THEIRS, facets={"state": "on"})
    put(provider, shared, a("Red theirs", organization_id=THEIRS), a("Red ours"))
    alone = ask(provider, "red", Scope((Grant(frozenset({KIND}), frozenset(), frozenset({shared.id})),)))
    assert titles(alone) == ["Red shared"]
    assert (alone.total, alone.types, alone.facets) == (1, {KIND: 1}, {"state": {"on": 1}})
    beside = ask(provider, "red", Scope((Grant(frozenset({KIND}), frozenset({OURS}), frozenset({shared.id})),)))
    assert set(titles(beside)) == {"Red shared", "Red ours"}
    other = Scope((Grant(frozenset({OTHER_KIND}), frozenset(), frozenset({shared.id})),))
    assert ask(provider, "red", other).total == 0


# --- pages and counts ---


def test_pages_forth_and_back_without_a_gap_or_a_repeat(provider):
    documents = [a(f"Red {'x ' * (number % 4)}") for number in range(23)]
    put(provider, *documents)
    seen, pages, after = [], [], None
    while True:
        found = ask(provider, "red", limit=5, after=after)
        pages.append([match.document.id for match in found.matches])
        seen += pages[-1]
        if not found.has_more:
            break
        last = found.matches[-1]
        after = Place(last.score, last.document.id, last.type)
    assert len(seen) == len(set(seen)) == 23
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    first_of_last = found.matches[0]
    back = Place(first_of_last.score, first_of_last.document.id, first_of_last.type, is_backward=True)
    found = ask(provider, "red", limit=5, after=back)
    assert [match.document.id for match in found.matches] == pages[-2]
    assert found.has_more
    assert found.total == 23


def test_counts_kinds_of_all_and_the_rest_of_the_chosen(provider):
    put(provider, *[a(f"Red {number}", facets={"state": "on" if number % 3 else "off"}) for number in range(7)])
    put(provider, a("Red gadget", facets={"state": "on"}), kind=OTHER_KIND)
    found = ask(provider, "red", types=frozenset({KIND}), limit=2)
    assert (found.total, found.types) == (7, {KIND: 7, OTHER_KIND: 1})
    assert found.facets == {"state": {"on": 4, "off": 3}}
    assert {match.type for match in found.matches} == {KIND}
    bare = ask(provider, "red", with_counts=False)
    assert (bare.total, bare.types, bare.facets, len(bare.matches)) == (0, {}, {}, 8)


def test_gives_the_best_of_each_kind(provider):
    put(provider, *[a(f"Red toy {number}") for number in range(9)])
    put(provider, *[a(f"Red gadget {number}") for number in range(2)], kind=OTHER_KIND)
    found = ask(provider, "red", each=3)
    assert [match.type for match in found.matches].count(KIND) == 3
    assert [match.type for match in found.matches].count(OTHER_KIND) == 2


# --- writing ---


def test_replaces_and_removes(provider):
    document = a("Red house", keys=("K-1",))
    assert put(provider, document) == Written(1, 0)
    assert put(provider, document) == Written(0, 0)
    assert put(provider, replace(document, title="Blue house", keys=("K-2",), version=2)) == Written(1, 0)
    assert titles(ask(provider, "red")) == titles(ask(provider, "k-1")) == []
    assert titles(ask(provider, "blue")) == titles(ask(provider, "k-2")) == ["Blue house"]
    assert put(provider, gone=[document.id, new_id()]) == Written(0, 1)
    assert titles(ask(provider, "blue", is_relaxed=True)) == titles(ask(provider, "k-2")) == []
    assert dict(provider.counts()).get(KIND, 0) == 0


def test_moves_a_document_out_of_sight(provider):
    document = a("Red house", organization_id=None, is_public=True)
    put(provider, document)
    assert titles(ask(provider, "red", MEMBER)) == ["Red house"]
    put(provider, replace(document, is_public=False))
    assert titles(ask(provider, "red", MEMBER)) == []


def test_never_lets_an_older_build_write_over_a_newer(provider):
    document = a("Red house")
    with provider.turn() as older:
        pass
    put(provider, replace(document, title="Blue house", version=2))
    assert provider.write(KIND, [document], [], older) == Written()
    assert titles(ask(provider, "house")) == ["Blue house"]
    with provider.turn() as older:
        pass
    put(provider, gone=[document.id])
    assert provider.write(KIND, [document], [], older) == Written()
    assert titles(ask(provider, "house")) == []


def test_keeps_kinds_apart(provider):
    document = a("Red house")
    put(provider, document)
    put(provider, document, kind=OTHER_KIND)
    put(provider, gone=[document.id])
    assert [match.type for match in ask(provider, "red").matches] == [OTHER_KIND]


def test_says_what_is_stored(provider):
    documents = [a(f"Red {number}", version=number + 1) for number in range(3)]
    put(provider, *documents)
    stored = provider.stored(KIND, [document.id for document in documents[:2]] + [new_id()])
    assert {each.id: (each.version, each.digest) for each in stored.values()} == {
        document.id: (document.version, document.digest) for document in documents[:2]
    }
    assert list(provider.walk(KIND)) == sorted(document.id for document in documents)
    assert provider.counts()[KIND] == 3


def test_is_whole_after_all_of_this(provider):
    documents = [a(f"Red {number}", keys=(f"K{number}",)) for number in range(5)]
    put(provider, *documents)
    put(provider, *[replace(document, title="Blue") for document in documents[:3]], gone=[documents[4].id])
    assert list(provider.faults()) == []
    provider.mend()
    assert ask(provider, "blue").total == 3


def test_finds_any_text_that_a_document_can_hold(provider):
    odd = a(
        '<b>"Bold"</b> & \\ %s {x} $1',
        body="naïve\u2028ß ﬁ ½ 💥 " + "x" * 500,
        keys=("A B c", "ÄÖ"),
        facets={"a'b": 'c"d'},
    )
    put(provider, odd)
    for text in ("bold", "naive", "abc", "äö", "x" * 500):
        assert ask(provider, text).matches[0].document == odd, text
    assert ask(provider, "bold").facets == {"a'b": {'c"d': 1}}
