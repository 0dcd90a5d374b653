"""The help pages as people read them. They say how the product works and hold nobody's data: all may read them."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import path
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from ai.help import markdown


@require_safe
def contents(request: HttpRequest) -> HttpResponse:
    """List the pages by kind."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for page, source in markdown.pages().items():
        kind, _, name = page.partition("/")
        title = markdown.as_html(page, source.read_text())[0]
        groups.setdefault(kind.replace("-", " ").capitalize() if name else "About", []).append((page, title))
    return render(request, "help/contents.html", {"groups": groups})


@require_safe
def show(request: HttpRequest, page: str) -> HttpResponseBase:
    """Show one page, or one of its pictures. What is not among the files of docs/ is not there."""
    source = markdown.pages().get(page)
    if source is not None:
        title, content = markdown.as_html(page, source.read_text())
        # Made by markdown-it from our own files, with raw HTML off.
        return render(request, "help/page.html", {"title": title, "content": mark_safe(content)})  # noqa: S308
    images = {f"images/{path.name}": path for path in (markdown.folder() / "images").glob("*.*")}
    if page not in images:
        raise Http404("There is no such help page.")
    return FileResponse(images[page].open("rb"), filename=images[page].name)


urlpatterns = [path("", contents, name="help"), path("<path:page>", show, name="help-page")]
