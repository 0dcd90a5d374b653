"""What can be found of the assistant's own: the sections of the help pages, by everybody who is signed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from ai.models import HelpPage
from ai.permissions import QUESTION_ASK
from search.documents import Document, DocumentType, in_key_order, register


def _help_pages(ids: Sequence[UUID]) -> Iterator[Document]:
    for page in HelpPage.objects.filter(pk__in=ids):
        yield Document(
            id=page.pk,
            title=page.title,
            subtitle=f"Help · {page.page}",
            body=page.body,
            facets={"kind": page.page.partition("/")[0]},
            organization_id=None,
            is_public=True,
            version=page.version,
            url=page.url,
        )


register(
    DocumentType(
        name="help_page",
        label="Help",
        icon="help",
        permission=QUESTION_ASK.name,
        model=HelpPage,
        events=("ai.help_page.",),
        build=_help_pages,
        ids=in_key_order(HelpPage),
        order=90,
    )
)
