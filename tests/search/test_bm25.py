"""Scores are Okapi BM25, to the last digit that is kept, whatever was written, replaced and removed before."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from django.db import connection

from core.ids import new_id
from search.documents import Document
from search.models import Corpus, IndexedDocument, Posting, Term
from search.providers.base import Grant, Query, Scope
from search.providers.local import LocalProvider

pytestmark = pytest.mark.django_db
EVERYTHING = Scope((Grant(frozenset({"toy"}), None),))
WORDS = [f"{first}{second}" for first in ("ba", "do", "fe", "gi", "ku") for second in ("lun", "mar", "ner", "pol")]


def a_document(chance: random.Random, key=None) -> Document:
    return Document(
        id=key or new_id(),
        title=chance.choice(WORDS),
        body=" ".join(chance.choices(WORDS, k=chance.randint(0, 30))),
        organization_id=None,
        version=chance.randint(1, 1000),
    )


def expected(documents: list[Document], asked: list[str]) -> dict:
    bags = {document.id: Counter(f"{document.title} {document.body}".split()) for document in documents}
    average = sum(bag.total() for bag in bags.values()) / len(bags)
    scores = {}
    for key, bag in bags.items():
        score = 0.0
        for word in set(asked):
            having = sum(word in other for other in bags.values())
            idf = math.log(1 + (len(bags) - having + 0.5) / (having + 0.5))
            score += idf * bag[word] * 2.2 / (bag[word] + 1.2 * (0.25 + 0.75 * bag.total() / average))
        if any(bag[word] for word in asked):
            scores[key] = score
    return scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_as_the_formula_says_after_any_history(seed: int) -> None:
    chance, provider = random.Random(seed), LocalProvider()
    present: dict = {}
    for _ in range(12):
        documents = [a_document(chance) for _ in range(chance.randint(0, 6))]
        documents += [a_document(chance, key) for key in chance.sample(sorted(present), min(len(present), 3))]
        left = sorted(set(present) - {document.id for document in documents})
        gone = chance.sample(left, min(len(left), chance.randint(0, 2)))
        with provider.turn() as stamp:
            provider.write("toy", documents, gone, stamp)
        present.update({document.id: document for document in documents})
        for key in gone:
            del present[key]
    check_statistics(list(present.values()))
    for _ in range(20):
        asked = chance.sample(WORDS, 2)
        found = provider.find(Query(" ".join(asked), EVERYTHING, limit=100, needs_all=False))
        wanted = expected(list(present.values()), asked)
        assert {match.document.id for match in found.matches} == set(wanted)
        for match in found.matches:
            assert match.score == pytest.approx(wanted[match.document.id] * 1e6, abs=2)


def check_statistics(documents: list[Document]) -> None:
    bags = [Counter(f"{document.title} {document.body}".split()) for document in documents]
    corpus = Corpus.objects.get()
    assert (corpus.documents, corpus.total_length) == (len(bags), sum(bag.total() for bag in bags))
    having = Counter(word for bag in bags for word in bag)
    assert dict(Term.objects.values_list("text", "documents")) == dict(having), "unused words are gone"
    assert Posting.objects.count() == sum(len(bag) for bag in bags)


def test_forgets_the_words_of_who_is_gone() -> None:
    provider, document = LocalProvider(), Document(new_id(), "Unforgettable Name", None, 1, keys=("name@x.example",))
    for gone in ([], [document.id]):
        with provider.turn() as stamp:
            provider.write("toy", [] if gone else [document], gone, stamp)
    with connection.cursor() as cursor:
        for table in ("search_document", "search_term", "search_posting", "search_key"):
            cursor.execute(f"SELECT count(*) FROM {table}")
            assert cursor.fetchone()[0] == 0, table
    assert not IndexedDocument.objects.exists()


def test_writes_with_the_same_number_of_statements_for_5_and_for_500(django_assert_num_queries) -> None:
    provider, chance = LocalProvider(), random.Random(1)
    for number in (5, 500):
        documents = [a_document(chance) for _ in range(number)]
        with provider.turn() as stamp, django_assert_num_queries(11 if number == 500 else 10, exact=False):
            provider.write("toy", documents, [], stamp)
        changed = [a_document(chance, document.id) for document in documents]
        with provider.turn() as stamp, django_assert_num_queries(13, exact=False):
            provider.write("toy", changed, [], stamp)
