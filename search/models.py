"""The inverted index inside PostgreSQL: documents, the vocabulary, who has which word how often, and keys.

All of it is derived and written by `search/providers/local.py` alone, which keeps the statistics true.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F


class IndexedDocument(models.Model):
    """A document as it was last built. `key` is its number in the index, small, since every word's entry repeats it.
    `digest` tells whether a newer build differs; `stamp` is the number of the build, which rises with each."""

    key = models.AutoField(primary_key=True)
    type = models.CharField(max_length=40)
    object_id = models.UUIDField()
    organization_id = models.UUIDField(null=True)
    is_public = models.BooleanField(default=False)
    version = models.BigIntegerField()
    title = models.TextField()
    subtitle = models.TextField(default="", blank=True)
    body = models.TextField(default="", blank=True)
    url = models.TextField(default="", blank=True)
    keys = ArrayField(models.TextField(), default=list)
    facets = models.JSONField(default=dict)
    length = models.PositiveSmallIntegerField(help_text="In words.")
    terms = ArrayField(models.IntegerField(), default=list, help_text="The numbers of its distinct words.")
    digest = models.BinaryField(max_length=16)
    stamp = models.BigIntegerField()

    class Meta:
        db_table = "search_document"
        constraints = [models.UniqueConstraint(fields=["type", "object_id"], name="search_document_once")]
        indexes = [
            models.Index(
                fields=["organization_id"],
                name="search_document_of_org",
                condition=models.Q(organization_id__isnull=False),
            ),
            models.Index(fields=["type"], name="search_document_public", condition=models.Q(is_public=True)),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"


class Term(models.Model):
    """A word of the vocabulary, and in how many documents it stands (its document frequency)."""

    id = models.AutoField(primary_key=True)
    text = models.CharField(max_length=64, db_collation="C")
    documents = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["text"], name="search_term_once")]
        # By ranges of "text" prefixes are found; by trigrams, parts of words and misspellings.
        indexes = [GinIndex(OpClass(F("text"), name="gin_trgm_ops"), name="search_term_trigrams")]

    def __str__(self) -> str:
        return self.text


class Posting(models.Model):
    """That a word stands in a document, and how often. The document's length is repeated, so that a score needs this
    index alone; it costs no space, since it fills what alignment would leave empty."""

    pk = models.CompositePrimaryKey("term", "document")
    term = models.IntegerField()
    document = models.IntegerField()
    frequency = models.SmallIntegerField()
    length = models.SmallIntegerField()

    def __str__(self) -> str:
        return f"{self.term} in {self.document}"


class Key(models.Model):
    """An id, address or number, in small letters, by whose beginning a document is found."""

    pk = models.CompositePrimaryKey("text", "document")
    text = models.CharField(max_length=320, db_collation="C")
    document = models.IntegerField()

    class Meta:
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["document"], name="search_key_of_document")]

    def __str__(self) -> str:
        return self.text


class Corpus(models.Model):
    """What BM25 must know of the whole: one row. Whoever writes locks it, so builds have one order, their `stamp`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    documents = models.BigIntegerField(default=0)
    total_length = models.BigIntegerField(default=0)
    stamp = models.BigIntegerField(default=0)

    class Meta:
        verbose_name_plural = "corpora"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="search_corpus_one_row")]

    def __str__(self) -> str:
        return f"{self.documents} documents"
