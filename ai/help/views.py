"""The help pages as people read them. They say how the product works and hold nobody's data: all may read them."""

from __future__ import annotations

from typing import Any, Final

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from ai.help import finding, markdown
from core import limits

_LONGEST: Final = 200
_KINDS: Final = {
    "tutorial": "Tutorials",
    "how-to": "How to",
    "reference": "Reference",
    "": "About the product",
    "decisions": "Decisions",
}


@require_safe
def contents(request: HttpRequest) -> HttpResponse:
    """List the pages by kind, or with `q` the sections that have most to do with it. Raises LimitReached: a search
    counts as a request."""
    q = request.GET.get("q", "").replace("\x00", "").strip()[:_LONGEST]
    found = []
    if q:
        limits.enforce(request)
        found = finding.sections(q)
    return render(request, "help/contents.html", {**_context(), "q": q, "found": found})


@require_safe
def show(request: HttpRequest, page: str) -> HttpResponseBase:
    """Show one page, or one of its pictures. What is not among the files of docs/ is not there."""
    source = markdown.pages().get(page)
    if source is not None:
        text = source.read_text()
        title, content = markdown.as_html(page, text)
        shown = {
            "page": page,
            "title": title,
            "kind": _KINDS.get(_kind(page), _kind(page)),
            "outline": markdown.outline(text),
            # Made by markdown-it from our own files, with raw HTML off.
            "content": mark_safe(content),  # noqa: S308
        }
        return render(request, "help/page.html", _context() | shown)
    images = {f"images/{path.name}": path for path in (markdown.folder() / "images").glob("*.*")}
    if page not in images:
        raise Http404("There is no such help page.")
    return FileResponse(images[page].open("rb"), filename=images[page].name)


def _context() -> dict[str, Any]:
    """What stands on every page: all pages, by kind, in the order in which they are read."""
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in _KINDS.values()}
    for page, title in markdown.titles().items():
        groups.setdefault(_KINDS.get(_kind(page), _kind(page)), []).append((page, title))
    return {"groups": {name: pages for name, pages in groups.items() if pages}}


def _kind(page: str) -> str:
    return page.rpartition("/")[0]


urlpatterns = [path("", contents, name="help"), path("<path:page>", show, name="help-page")]
