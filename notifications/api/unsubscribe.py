"""The page behind a mail's link to stop: a question for people, one click for mail programs (RFC 8058).

Looking at the page changes nothing, since programs that check links look at them too; only a POST does. The signed link
is all the proof that is needed: it names a person and a kind, and can do no more than stop mails.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from core import clock
from core.errors import AppError
from notifications.providers.mail import read_unsubscribe
from notifications.services import preferences
from notifications.states import KINDS


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Ask (GET), or stop the mails of the link's kind (POST). A link that is not ours is not found."""
    found = read_unsubscribe(token)
    if found is None:
        raise Http404("There is no such page.")
    person_id, kind = found
    label = KINDS[kind].label if kind in KINDS else "The daily digest"
    is_done = request.method == "POST"
    if is_done:
        try:
            preferences.unsubscribe(person_id=person_id, kind=kind, now=clock.now())
        except AppError as error:
            raise Http404(error.detail) from None
    return render(request, "notifications/stop.html", {"label": label, "is_done": is_done})
