"""The assistant at the desk of staff: a page with a question box, and a line in the box that finds anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from ai import providers
from ai.models import LONGEST_QUESTION, Question
from ai.selectors import questions as selectors
from ai.services import questions
from ai.states import Feedback
from core import clock, ids, limits
from core.actor import Actor
from core.commands import record_refusal
from core.errors import AppError, NotFound
from core.ids import new_id
from core.palette import Finding, finder
from core.streams import tickets
from search.documents import document_types

_LATEST: Final = 8
_SHORTEST_QUESTION: Final = 3  # words, for the box that finds anything
EXAMPLES: Final = (
    "How do I refund a payment?",
    "How do I import customers from a CSV file?",
    "Which settings does the assistant have?",
    "What happens when a payment is declined?",
)
View = Callable[..., HttpResponse]


class Site(Protocol):
    """What these pages need of the admin's site."""

    name: str

    def admin_view(self, view: Any, cacheable: bool = False) -> Any: ...

    def each_context(self, request: HttpRequest) -> dict[str, Any]: ...

    def actor_of(self, request: HttpRequest) -> Actor: ...


@finder("Assistant", icon="auto_awesome", order=1000)
def _ask(term: str, limit: int) -> list[Finding]:
    """Offer to ask what reads like a question."""
    if len(term.split()) < _SHORTEST_QUESTION and not term.endswith("?"):
        return []
    url = f"{reverse('admin:assistant')}?{urlencode({'q': term})}"
    return [Finding(f"Ask: {term}", "Answered from the help pages and from what you may see", url)]


class Pages:
    """The assistant's pages on one admin site."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def urls(self) -> list[URLPattern]:
        """Return their addresses."""

        def at_desk(view: View) -> Any:
            return self.site.admin_view(_told(view))

        return [
            path("assistant/", self.site.admin_view(require_GET(self.page)), name="assistant"),
            path("assistant/ask/", at_desk(require_POST(self.ask)), name="assistant_ask"),
            path("assistant/<str:public_id>/", at_desk(require_GET(self.show)), name="assistant_show"),
            path("assistant/<str:public_id>/answer/", at_desk(require_POST(self.answer)), name="assistant_answer"),
            path("assistant/<str:public_id>/feedback/", at_desk(require_POST(self.rate)), name="assistant_feedback"),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        """Show the question box, and what one asked before."""
        own = selectors.own(self.site.actor_of(request))
        return render(request, "admin/assistant.html", _context(self.site, request) | {"latest": own[:_LATEST]})

    def ask(self, request: HttpRequest) -> HttpResponse:
        """Keep the question and say how its answer is got: `stream` (an address), or by `answer` where it is empty."""
        actor, now = self.site.actor_of(request), clock.now()
        limits.check("ask", actor.principal)
        text = request.POST.get("question", "")
        question = questions.promise(actor=actor, text=text, operation_key=f"admin:{new_id().hex}", now=now)
        stream = ""
        if settings.STREAMS_URL:
            parameters = {"question_id": question.public_id}
            stream = tickets.issue(stream="ask", actor=actor, parameters=parameters, now=now).url
        return JsonResponse({"id": question.public_id, "stream": stream}, status=201)

    def answer(self, request: HttpRequest, public_id: str) -> HttpResponse:
        """Answer the question here and now; one that has its answer is shown."""
        actor = self.site.actor_of(request)
        question = _own(actor, public_id)
        if question.is_open:
            question = questions.answer(actor=actor, question=question, now=clock.now())
        return JsonResponse(shown(question))

    def show(self, request: HttpRequest, public_id: str) -> HttpResponse:
        return JsonResponse(shown(_own(self.site.actor_of(request), public_id)))

    def rate(self, request: HttpRequest, public_id: str) -> HttpResponse:
        """Keep whether the answer helped."""
        actor = self.site.actor_of(request)
        given = Feedback.HELPFUL if request.POST.get("feedback") == Feedback.HELPFUL else Feedback.NOT_HELPFUL
        question = questions.rate(actor=actor, question=_own(actor, public_id), feedback=given, now=clock.now())
        return JsonResponse(shown(question))


def shown(question: Question) -> dict[str, Any]:
    """Return a question as the page shows it: its citations lead to pages of the admin."""
    return {
        "id": question.public_id,
        "question": question.text,
        "status": question.status,
        "answer": question.answer,
        "is_grounded": question.is_grounded,
        "citations": [{**citation, "link": _link(citation)} for citation in question.citations],
        "provider": question.provider,
        "model": question.model,
        "latency_ms": question.latency_ms,
        "tokens": question.tokens_in + question.tokens_out,
        "cost": f"{question.cost_micro / 1_000_000:.6f} {question.currency}" if question.cost_micro else "",
        "feedback": question.feedback,
        "failure_code": question.failure_code,
    }


def _context(site: Site, request: HttpRequest) -> dict[str, Any]:
    try:
        provider, fault = providers.get(), ""
    except AppError as error:
        provider, fault = None, error.detail
    return {
        **site.each_context(request),
        "title": "Assistant",
        "examples": EXAMPLES,
        "asked": request.GET.get("q", "")[:LONGEST_QUESTION],
        "longest": LONGEST_QUESTION,
        "provider": provider,
        "fault": fault,
    }


def _own(actor: Actor, public_id: str) -> Question:
    try:
        found = selectors.own(actor).filter(pk=ids.decode(Question.id_prefix, public_id)).first()
    except ids.MalformedId:
        found = None
    if found is None:
        raise NotFound("There is no such question, or you may not see it.")
    return found


def _link(citation: dict[str, Any]) -> str:
    """Return the page of the admin that shows what is cited; the help page itself for help."""
    kind = document_types.get(citation["type"])
    if kind is None or kind.model is None or str(citation["url"]).startswith("/help/"):
        return str(citation["url"])
    options = kind.model._meta
    try:
        return reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[ids.split(citation["id"])[1]])
    except NoReverseMatch:
        return ""


def _told(view: View) -> View:
    """Tell a refusal as JSON with its code, and record it."""

    def run(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, **kwargs)
        except AppError as error:
            record_refusal(error)
            told = {"code": error.code, "detail": error.detail}
            words = error.extra.get("provider_message")
            return JsonResponse(told | ({"provider_message": words} if words else {}), status=error.status)

    return run
