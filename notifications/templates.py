"""What an event is told as, and to whom.

    template("billing.payment.failed", kind="billing", audience=audiences.BILLING, values=…)

The words stand in `templates/notifications/<event type>/`: `subject.txt`, `text.txt` and `body.html`. Subject and text
are rendered once, when the event is followed; personal values are marks in them (`⟦name⟧`), which `filled` replaces
when somebody reads. The page is rendered when a mail is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.template.loader import render_to_string

from accounts.providers.mail import one_line
from core import personal
from core.events import Subject
from notifications.audiences import Audience
from notifications.news import News, Personal, moment
from notifications.states import kind_of

ERASED: Final = "somebody who was erased"
LONGEST_SUBJECT: Final = 300
_OPEN, _CLOSE = "⟦", "⟧"
_MARK = re.compile(f"{_OPEN}([a-z_]+){_CLOSE}")

templates: dict[str, Template] = {}


@dataclass(frozen=True, slots=True)
class Template:
    """How one type of event is told. `values` are what its words need beside `organization` and `occurred`; `url` is
    where to go on; `when` passes events over; events with one `unique` are told once in all (one of many failed jobs
    stands for them); `has_mail=False` keeps some out of the mail. Who acted is not told, unless `tells_actor`; staff
    go on at `staff_url`, where there is one."""

    event: str
    kind: str
    audience: Audience
    values: Callable[[News], Mapping[str, Any]]
    url: Callable[[News], str]
    when: Callable[[News], bool]
    unique: Callable[[News], str]
    has_mail: Callable[[News], bool]
    tells_actor: bool
    staff_url: Callable[[News], str] | None


@dataclass(frozen=True, slots=True)
class Written:
    """The words for one event: `values` is JSON, `personal` the envelopes by the names of their marks."""

    subject: str
    text: str
    url: str
    values: dict[str, Any]
    personal: dict[str, dict[str, str]]


def template(
    event: str,
    *,
    kind: str,
    audience: Audience,
    values: Callable[[News], Mapping[str, Any]] = lambda news: {},
    url: Callable[[News], str] = lambda news: "",
    when: Callable[[News], bool] = lambda news: True,
    unique: Callable[[News], str] = lambda news: str(news.event.pk),
    has_mail: Callable[[News], bool] = lambda news: True,
    tells_actor: bool = True,
    staff_url: Callable[[News], str] | None = None,
) -> Template:
    """Declare how events of one type are told. Raises LookupError on an unknown kind."""
    assert event not in templates, f"{event} has two templates"
    made = Template(event, kind_of(kind).name, audience, values, url, when, unique, has_mail, tells_actor, staff_url)
    templates[event] = made
    return made


def write(declared: Template, news: News) -> Written:
    """Render subject and text of one event, with marks in place of what is personal."""
    plain: dict[str, Any] = {"organization": _clean(news.organization), "occurred": moment(news.event.occurred_at)}
    envelopes: dict[str, dict[str, str]] = {}
    for name, value in declared.values(news).items():
        if isinstance(value, Personal):
            envelopes[name] = _sealed(value, name)
        else:
            plain[name] = _clean(value)
    shown = plain | {name: f"{_OPEN}{name}{_CLOSE}" for name in envelopes}
    place = f"notifications/{declared.event}"
    subject = one_line(render_to_string(f"{place}/subject.txt", shown))[:LONGEST_SUBJECT]
    text = render_to_string(f"{place}/text.txt", shown).strip()
    return Written(subject, text, safe_url(declared.url(news)), plain, envelopes)


def filled(text: str, names: Mapping[str, str]) -> str:
    """Return `text` with its marks replaced; what was erased reads `ERASED`."""
    return _MARK.sub(lambda mark: names.get(mark[1], ERASED), text) if _OPEN in text else text


def safe_url(url: str) -> str:
    """Return `url` when it is a path of ours or a web address, else "": an event's payload must not smuggle in a
    `javascript:` or `//elsewhere`."""
    is_path = url.startswith("/") and not url.startswith(("//", "/\\"))
    return url[:500] if is_path or url.startswith(("https://", "http://")) else ""


def field_of(name: str) -> str:
    """Return the place to which an envelope is bound."""
    return f"notification.{name}"


def _sealed(value: Personal, name: str) -> dict[str, str]:
    person = Subject("user", UUID(str(value.person_id)))
    return personal.encrypt(person, _clean(value.text), field=field_of(name))


def _clean(value: Any) -> Any:
    """What people typed has no line breaks and no marks; numbers and truths stay what they are."""
    if isinstance(value, str):
        return one_line(value.replace(_OPEN, "[").replace(_CLOSE, "]"))
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else one_line(str(value))
