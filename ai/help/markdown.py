"""docs/ read by markdown-it: as HTML for a page, and as plain text in sections, one for each heading.

Raw HTML in a page is shown as text and never run, save bare anchors (`<a id="…"></a>`); links that are no addresses
are none (markdown-it refuses them).
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

from django.conf import settings
from markdown_it import MarkdownIt
from markdown_it.token import Token

ADDRESS: Final = "/help/"
INDEXED: Final = ("tutorial", "how-to", "reference")
_DEEPEST: Final = "h3"
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")
_MARKDOWN_LINK = re.compile(r"^(?P<page>[\w./-]+)\.md(?P<anchor>#.*)?$")
_ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
_SHOWN_ANCHOR = re.compile(r"&lt;a id=&quot;([\w-]+)&quot;&gt;&lt;/a&gt;")
_COMMENT = re.compile(r"^<!-- [^\n]* -->$", re.MULTILINE)
_WAY_ON: Final = "Next: "  # the last line of a page: where to read on, and no statement
_CODE: Final = "    "
_DRAWING: Final = "mermaid"
_IMAGE = re.compile(r"^[\w./-]+\.(png|svg)$")


@dataclass(frozen=True, slots=True)
class Section:
    """What stands below one heading, up to the next. `page` is its path below docs/ without ".md"."""

    page: str
    anchor: str
    title: str
    page_title: str
    body: str

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"countinghouse:{ADDRESS}{self.page}#{self.anchor}")


def folder() -> Path:
    return Path(settings.BASE_DIR) / "docs"


def pages() -> dict[str, Path]:
    """Return every page by its path below docs/ without ".md", sorted."""
    root = folder()
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.md"))}


@functools.cache
def _reader() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def _parsed(source: str) -> list[Token]:
    """Read a page, without the comment for who edits it."""
    return _reader().parse(_COMMENT.sub("", source, count=1))


def sections() -> list[Section]:
    """Return the sections of the pages that answers are made from (tutorial, how-to, reference)."""
    found = (_sections(page, path.read_text()) for page, path in pages().items() if page.split("/")[0] in INDEXED)
    return [section for of_page in found for section in of_page]


def as_html(page: str, source: str) -> tuple[str, str]:
    """Return title and HTML of a page, with an anchor at each heading and its links led to the other pages."""
    tokens = _parsed(source)
    title = _title(tokens) or page
    for token in tokens:
        for inner in token.children or ():
            _lead(inner, page)
    anchors = {id(token): anchor for token, anchor in _headings(tokens)}
    for at, token in enumerate(tokens):
        if anchor := anchors.get(id(token)):
            token.attrSet("id", anchor)
            if token.tag != "h1":
                _link_to_itself(tokens[at + 1], anchor)
    content = _reader().renderer.render(tokens, _reader().options, {})
    return title, _SHOWN_ANCHOR.sub(r'<a id="\1"></a>', content)


def outline(source: str) -> list[tuple[str, str]]:
    """Return anchor and words of each heading of the second order."""
    tokens = _parsed(source)
    anchors = {id(token): anchor for token, anchor in _headings(tokens) if token.tag == "h2"}
    return [(anchors[id(token)], _text(tokens[at + 1])) for at, token in enumerate(tokens) if id(token) in anchors]


def titles() -> dict[str, str]:
    """Return the title of every page, by page. A file is read again when it has changed."""
    return {page: _title_of(path, path.stat().st_mtime_ns) or page for page, path in pages().items()}


@functools.lru_cache(maxsize=512)
def _title_of(path: Path, changed: int) -> str:
    return _title(_parsed(path.read_text()))


def _title(tokens: Sequence[Token]) -> str:
    return next((_text(tokens[at + 1]) for at, token in enumerate(tokens) if token.type == "heading_open"), "")


def _link_to_itself(heading: Token, anchor: str) -> None:
    """Put a link to its own address behind a heading."""
    opened, text, closed = Token("link_open", "a", 1), Token("text", "", 0), Token("link_close", "a", -1)
    opened.attrs = {"class": "anchor", "href": f"#{anchor}", "aria-label": "Address of this section"}
    text.content = "#"
    heading.children = [*(heading.children or ()), opened, text, closed]


def _sections(page: str, source: str) -> Iterator[Section]:
    tokens = _parsed(source)
    anchors = {id(token): anchor for token, anchor in _headings(tokens)}
    starts = [at for at, token in enumerate(tokens) if token.type == "heading_open" and token.tag <= _DEEPEST]
    page_title = _text(tokens[starts[0] + 1]) if starts else page
    for place, at in enumerate(starts):
        end = starts[place + 1] if place + 1 < len(starts) else len(tokens)
        body = "\n\n".join(_blocks(tokens[at + 3 : end]))
        title = _text(tokens[at + 1])
        # The page's own heading needs no anchor: it is its top.
        anchor = "" if place == 0 else anchors[id(tokens[at])]
        if body:
            yield Section(page, anchor, title if place == 0 else f"{page_title}: {title}", page_title, body)


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[Token, str]]:
    """Yield each heading with its anchor, made as GitHub makes it; the second of a name ends in "-1"."""
    seen: dict[str, int] = {}
    for at, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        anchor = _NOT_IN_ANCHORS.sub("", _text(tokens[at + 1]).lower()).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        yield token, f"{anchor}-{count}" if count else anchor


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the blocks of a section as plain text: paragraphs, lists (an item a line, with its number or a bullet),
    rows of tables (one line each, without their heads), and code, set in by four blanks."""
    row: list[str] | None = None
    items = _Items()
    rows: list[str] = []
    is_head = False
    for token in tokens:
        is_head = token.type == "thead_open" or (is_head and token.type != "thead_close")
        if is_head:
            continue
        if items.take(token):
            if not items.is_open and items.lines:
                yield items.all()
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            rows.append(" · ".join(cell for cell in row if cell))
            row = None
        elif token.type == "table_close" and rows:
            yield "\n".join(rows)
            rows = []
        elif token.type == "fence" and token.info == _DRAWING:
            continue
        elif token.type in ("fence", "code_block"):
            code = "\n".join(f"{_CODE}{line}" for line in token.content.strip("\n").splitlines())
            if items.is_open:
                items.lines.append(code)
            else:
                yield code
        elif token.type == "inline" and (text := _text(token)) and not text.startswith(_WAY_ON):
            if row is not None:
                row.append(text)
            elif items.is_open:
                items.add(text)
            else:
                yield text


class _Items:
    """The lines of a list that is being read; of a list inside a list too."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._next: list[int | None] = []
        self._mark = ""

    @property
    def is_open(self) -> bool:
        return bool(self._next)

    def take(self, token: Token) -> bool:
        """Return whether the token begins or ends a list or an item."""
        if token.type == "ordered_list_open":
            self._next.append(int(token.attrGet("start") or 1))
        elif token.type == "bullet_list_open":
            self._next.append(None)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            self._next.pop()
        elif token.type == "list_item_open":
            number = self._next[-1]
            self._mark = "• " if number is None else f"{number}. "
            if number is not None:
                self._next[-1] = number + 1
        else:
            return token.type == "list_item_close"
        return True

    def add(self, text: str) -> None:
        """Add a paragraph: an item's first has its mark, the others follow on its line."""
        if self._mark or not self.lines or self.lines[-1].startswith(_CODE):
            self.lines.append(self._mark + text)
        else:
            self.lines[-1] += " " + text
        self._mark = ""

    def all(self) -> str:
        lines, self.lines = self.lines, []
        return "\n".join(lines)


def _text(token: Token) -> str:
    """Return the words of an inline token; the breaks of its lines are blanks."""
    words = "".join(
        " " if inner.type in ("softbreak", "hardbreak") else "" if inner.type == "image" else inner.content
        for inner in token.children or ()
    )
    return " ".join(_ANCHOR.sub("", words).split())


def _lead(token: Token, page: str) -> None:
    """Lead a link to another page of docs/ to its address here, and an image to where it is served."""
    name = {"link_open": "href", "image": "src"}.get(token.type, "")
    target = str(token.attrGet(name) or "") if name else ""
    here = posixpath.dirname(page)
    link = _MARKDOWN_LINK.match(target)
    if link is not None and name == "href":
        token.attrSet(name, ADDRESS + posixpath.normpath(posixpath.join(here, link["page"])) + (link["anchor"] or ""))
    elif _IMAGE.match(target) and name == "src":
        token.attrSet(name, ADDRESS + posixpath.normpath(posixpath.join(here, target)))
