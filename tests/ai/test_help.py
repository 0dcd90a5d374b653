"""The help pages: as people read them, and in the sections that answers cite."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from ai.help import markdown
from ai.models import HelpPage
from ai.services import help_pages
from core import clock
from core.actor import SYSTEM
from tests.billing import factories
from tests.support.index import index_everything

SOURCE = """\
# Refunds & more

All about *money*
given back.

## How it works

1. Press **Ctrl-K**.
2. See [the map](../map.md#processes) and ![a picture](../images/a.png).

| token | what |
| --- | --- |
| `tok_x` | It fails. |

```console
$ rm -rf /
```

## How it works

<script>alert(1)</script> [bad](javascript:alert(1))
"""


def test_splits_a_page_by_its_headings() -> None:
    first, second, third = markdown._sections("how-to/refund", SOURCE)
    assert (first.anchor, first.title, first.body) == ("", "Refunds & more", "All about money given back.")
    assert (second.anchor, third.anchor) == ("how-it-works", "how-it-works-1")
    assert second.title == "Refunds & more: How it works"
    assert second.body == "1. Press Ctrl-K.\n2. See the map and .\n\ntok_x · It fails.\n\n    $ rm -rf /"


def test_takes_no_statement_from_the_line_that_says_where_to_read_on() -> None:
    (section,) = markdown._sections("how-to/renew", "# Renew\n\nBy the clock.\n\nNext: [refund](refund.md).")
    assert section.body == "By the clock."


def test_shows_no_html_and_no_script_of_a_page() -> None:
    title, content = markdown.as_html("how-to/refund", SOURCE)
    assert title == "Refunds & more"
    assert "<script" not in content
    assert "javascript:" not in re.findall(r'href="([^"]*)"', content)
    assert 'href="/help/map#processes"' in content
    assert 'src="/help/images/a.png"' in content
    assert '<h2 id="how-it-works-1">' in content
    assert '<a class="anchor" href="#how-it-works-1" aria-label="Address of this section">#</a>' in content
    assert markdown.outline(SOURCE) == [("how-it-works", "How it works"), ("how-it-works-1", "How it works")]


@given(st.text(st.sampled_from('<>a="&script/ \n#`[]()x'), max_size=80))
def test_lets_no_tag_through(text: str) -> None:
    content = markdown.as_html("x/y", text)[1]
    assert not re.search(r"<(?!/?(h[1-6]|p|pre|code|ul|ol|li|em|strong|blockquote|br|hr|a|img)\b)", content)
    assert not re.search(r"<script|\bon\w+=[^<]*>", re.sub(r'"[^"]*"', "", content))


def test_gives_each_section_an_id_of_its_own_that_stays() -> None:
    sections = markdown.sections()
    assert len({section.id for section in sections}) == len(sections)
    assert {section.page.partition("/")[0] for section in sections} == set(markdown.INDEXED)
    assert [section.id for section in markdown.sections()] == [section.id for section in sections]


@pytest.mark.django_db
def test_serves_every_page_with_the_anchors_that_are_cited() -> None:
    help_pages.publish(actor=SYSTEM, now=clock.now())
    client, shown = Client(), {}
    for row in HelpPage.objects.all():
        if row.page not in shown:
            reply = client.get(f"/help/{row.page}")
            assert reply.status_code == 200, row.page
            assert "script-src" in reply.headers["Content-Security-Policy"]
            shown[row.page] = reply.content.decode()
        assert not row.anchor or f'id="{row.anchor}"' in shown[row.page], row.url
    assert len(shown) > 8


@pytest.mark.django_db
def test_leads_only_to_pages_and_pictures_that_are_there() -> None:
    client = Client()
    for page, path in markdown.pages().items():
        content = markdown.as_html(page, path.read_text())[1]
        for target in re.findall(r'(?:href|src)="(/help/[^"#]*)', content):
            assert client.get(target).status_code == 200, (page, target)


@pytest.mark.django_db
def test_lists_all_pages() -> None:
    content = Client().get("/help/").content.decode()
    assert all(f'href="/help/{page}"' in content for page in markdown.pages())


@pytest.fixture
def indexed(db: None) -> None:
    help_pages.publish(actor=SYSTEM, now=clock.now())
    index_everything()


def test_finds_sections_for_everybody(indexed: None) -> None:
    content = Client().get("/help/", {"q": "How do I refund a payment?"}).content.decode()
    found = re.findall(r'<li>\s*<a href="(/help/[^"]*)">', content.partition('<ol class="found">')[2])
    assert found[0] == "/help/how-to/refund"
    assert "<mark>" in content


def test_finds_what_is_spelt_otherwise(indexed: None) -> None:
    assert "/help/how-to/webhooks" in Client().get("/help/?q=webhok").content.decode().partition('class="found"')[2]
    assert "Nothing found" in Client().get("/help/?q=zzzzzzz").content.decode()


def test_shows_what_was_looked_for_as_text(indexed: None) -> None:
    content = Client().get("/help/", {"q": "<script>alert(1)</script>\x00"}).content.decode()
    assert "<script" not in content
    assert "&lt;script&gt;" in content


def test_finds_nothing_but_help(indexed: None) -> None:
    customer = factories.customer(name="Zebedee Quagmire")
    index_everything()
    content = Client().get("/help/?q=Zebedee+Quagmire").content.decode()
    assert "Nothing found" in content
    assert customer.public_id not in content


@pytest.mark.django_db
def test_leads_back_and_to_the_other_pages() -> None:
    content = Client().get("/help/how-to/webhooks").content.decode()
    assert 'href="/admin/"' in content
    assert 'href="/help/how-to/webhooks" aria-current="page"' in content
    assert '<a href="#rotate-the-secret">Rotate the secret</a>' in content
    assert "<style" not in content
    assert "<script" not in content


@pytest.mark.django_db
@pytest.mark.parametrize(
    "page", ["nothing", "../manage", "..%2Fmanage.py", "images/../../manage.py", "how-to/refund.md", "images/"]
)
def test_serves_nothing_but_docs(page: str) -> None:
    assert Client().get(f"/help/{page}").status_code == 404
