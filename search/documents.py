"""What can be found. Each app registers its kinds of documents in `<app>/documents.py`, when the apps are ready.

    register(DocumentType(name="customer", label="Customers", icon="groups", permission="billing.customer.view",
                          model=Customer, events=("billing.customer.",), build=_customers, ids=in_key_order(Customer)))

A document is a copy for searching, made anew from the truth whenever an event says that this changed. It is never
written by hand and may be thrown away at any time (`manage.py search_reindex`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Model

from core import ids

if TYPE_CHECKING:
    from audit.models import Event

document_types: dict[str, DocumentType] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """One thing as it is found.

    `title`, `subtitle` and `body` are searched by words and shown to whoever finds the document. `keys` (ids, e-mail
    addresses, numbers) are found by their beginning, in any case. `facets` are counted: a few values each, one per
    document. Without an `organization_id` it is for staff, unless it `is_public`: then for everybody signed in.
    `version` is the object's own; `url` the address of the object for programs.
    """

    id: UUID
    title: str
    organization_id: UUID | None
    version: int
    subtitle: str = ""
    body: str = ""
    keys: tuple[str, ...] = ()
    facets: Mapping[str, str] = field(default_factory=dict)
    is_public: bool = False
    url: str = ""

    @property
    def digest(self) -> bytes:
        """16 bytes that differ when anything in the document does: how drift is found."""
        content = [
            str(self.organization_id), self.version, self.title, self.subtitle, self.body, self.keys,
            dict(self.facets), self.is_public, self.url,
        ]  # fmt: skip
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class DocumentType:
    """One kind of document.

    `build` makes the documents of the named objects with a constant number of queries; objects that are gone, or that
    nobody must find any more, it leaves out: they are removed. `ids` gives the ids of all objects in rising order.
    `events` are the beginnings of event types whose subject must be indexed anew; where other objects than the subject
    must be, `ids_of` says which, for many events at once. `permission` is what a member or a key must hold. `model`
    gives ids their prefix; a kind without a table (help pages) names its `id_prefix` itself.
    """

    name: str
    label: str
    icon: str
    permission: str
    build: Callable[[Sequence[UUID]], Iterable[Document]]
    ids: Callable[[], Iterable[UUID]]
    model: type[Model] | None = None
    events: tuple[str, ...] = ()
    ids_of: Callable[[Sequence[Event]], Iterable[UUID]] | None = None
    id_prefix: str = ""
    order: int = 100

    @property
    def prefix(self) -> str:
        """The prefix of its public ids."""
        return self.id_prefix or str(getattr(self.model, "id_prefix", "")) or "doc"

    def public_id(self, value: UUID) -> str:
        """The id of one of its objects as people see it."""
        return ids.encode(self.prefix, value)


def register(kind: DocumentType) -> DocumentType:
    """Make a kind of document known to the index."""
    known = document_types.get(kind.name)
    assert known is None or known.model is kind.model, f"document type {kind.name} is registered twice"
    document_types[kind.name] = kind
    return kind


def in_key_order(model: type[Model], **conditions: Any) -> Callable[[], Iterator[UUID]]:
    """Return what gives the ids of a model's rows in rising order, read in pieces of 1,000."""

    def walk() -> Iterator[UUID]:
        after: UUID | None = None
        while True:
            rows = model._base_manager.filter(**conditions).order_by("pk")
            piece = list((rows if after is None else rows.filter(pk__gt=after)).values_list("pk", flat=True)[:1000])
            yield from piece
            if not piece:
                return
            after = piece[-1]

    return walk
