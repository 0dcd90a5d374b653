"""What the pages about permissions share: which engine they ask, names instead of ids, a model's text in colours."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q
from django.http import HttpRequest
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from accounts.models import User, UserManager
from accounts.permissions import asking, names
from accounts.permissions.models import RelationTuple
from accounts.permissions.product import STORE
from accounts.permissions.tuples import Tuple
from core.access import allows
from core.actor import Actor
from core.admin import Section
from core.admin.html import Linked, Shown, admin_url, list_url, shown
from core.models import Entity

STAFF_GROUP: Final = "staff_group"
TUPLES_VIEW: Final = "accounts.relation_tuple.view"
WHY_NEEDS: Final = ("accounts.permission.ask",)
WHAT_IF_NEEDS: Final = ("accounts.permission.ask", "accounts.permission_model.view")
_ROWS: Final = 10
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def require_page(model_admin: Any, request: HttpRequest, *permissions: str) -> Actor:
    """Return who asks. Raises PermissionDenied unless all of `permissions` allow them the page."""
    actor: Actor = model_admin.admin_site.actor_of(request)
    if not all(allows(actor, permission) for permission in permissions):
        raise PermissionDenied
    return actor


# names


def inward(text: str) -> str:
    """Return an object or a subject, as people name it, as tuples hold it: `type:id` in each of its forms, a person by
    the e-mail address (`ann@example.com`, `user:ann@example.com`), anything by its public id alone (`org_…`). Raises
    ValueError for an address that nobody has."""
    text = text.strip()
    bare = text.removeprefix("user:")
    if "@" in bare and not any(mark in bare for mark in ":# "):
        person = User.objects.filter(email=UserManager.normalize_email(bare)).first()
        if person is None:
            raise ValueError(f"Nobody has the e-mail address '{bare:.100}'.")
        return f"user:{person.pk}"
    return names.inward(names.typed(asking.model(), text))


@dataclass(slots=True)
class Names:
    """Objects and subjects as people know them: one query for each type, however many there are."""

    _found: dict[tuple[str, str], Model] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Names:
        """Look up what `texts` (`user:<id>`, `group:<id>#member`) name."""
        wanted: dict[str, set[str]] = {}
        for text in texts:
            kind, key, _ = _parts(text)
            if _is_key(kind, key):
                wanted.setdefault(kind, set()).add(key)
        found = cls()
        for kind, keys in wanted.items():
            model = _model(kind)
            assert model is not None
            for one in model._default_manager.filter(pk__in=keys):
                found._found[kind, str(one.pk)] = one
        return found

    def shown(self, text: str) -> Shown:
        """Return `user:ann@example.com`, linked to its page; an id that nobody knows as it is."""
        kind, key, relation = _parts(text)
        one = self._found.get((kind, key))
        behind = format_html('<span class="ch-rel__relation">#{}</span>', relation) if relation else ""
        address = admin_url(one) if one is not None else ""
        name = str(one) if one is not None else key
        words = format_html('<a class="ch-link" href="{}">{}</a>', address, name) if address else escape(name)
        html = format_html('<span class="ch-rel" title="{}"><span>{}:</span>{}{}</span>', text, kind, words, behind)
        return shown(html, Linked(text, getattr(one, "public_id", "")))

    def missing(self, texts: Iterable[str]) -> list[str]:
        """Return which of `texts`, looked up before, should be rows of ours and are none."""
        parts = ((text, *_parts(text)[:2]) for text in texts)
        return [
            names.outward(text)
            for text, kind, key in parts
            if _model(kind) is not None and key != "*" and (kind, key) not in self._found
        ]


def _parts(text: str) -> tuple[str, str, str]:
    kind, _, rest = text.partition(":")
    key, _, relation = rest.partition("#")
    return kind, key, relation


def _model(kind: str) -> type[Model] | None:
    return Group if kind == STAFF_GROUP else names.entity_of(kind)


def _is_key(kind: str, key: str) -> bool:
    model = _model(kind)
    if model is Group:
        return key.isascii() and key.isdigit() and int(key) < 2**31
    return model is not None and _UUID.fullmatch(key) is not None


def tuples_section(actor: Actor, kind: str, row: Entity) -> list[Section]:
    """The newest tuples in which a row stands, with the way to all of them; nothing for whoever may not see tuples."""
    if not allows(actor, TUPLES_VIEW):
        return []
    key = str(row.pk)
    rows = RelationTuple.objects.filter(
        Q(object_type=kind, object_id=key) | Q(subject_type=kind, subject_id=key), store__name=STORE
    ).order_by("-pk")[:_ROWS]
    tuples = [Tuple.of(one) for one in rows]
    known = Names.of(text for one in tuples for text in (str(one.subject), str(one.object)))
    section = Section(
        "Relations",
        ("Who", "Is what", "Of what"),
        [(known.shown(str(one.subject)), one.relation, known.shown(str(one.object))) for one in tuples],
        list_url(RelationTuple, urlencode({"q": f"{kind}:{key}"})),
        "Stands in no tuple.",
        "account_tree",
    )
    return [section]


# a model's text


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a model: its number, its text in colours, and how it changed ("+", "-", "" or "…")."""

    number: int
    html: SafeString
    mark: str = ""


_WORD: Final = re.compile(
    r"""(?P<comment>(?:^|(?<=\s))\#.*$)
      | (?P<keyword>\b(?:model|schema|module|extend|type|relations|define|condition|with)\b)
      | (?P<operator>\b(?:or|and|but\ not|from)\b)
      | (?P<list>\[[^\]]*\])
      | (?P<text>"[^"]*"|'[^']*')""",
    re.VERBOSE,
)


def coloured(line: str) -> SafeString:
    """Return one line of a model's text with its words marked."""
    parts, position = [], 0
    for match in _WORD.finditer(line):
        parts.append(escape(line[position : match.start()]))
        parts.append(format_html('<span class="ch-dsl__{}">{}</span>', match.lastgroup, match.group()))
        position = match.end()
    parts.append(escape(line[position:]))
    return mark_safe("".join(parts))  # noqa: S308  (each part is escaped)


def lines_of(text: str) -> list[Line]:
    """Return a model's text as numbered lines."""
    return [Line(number, coloured(line)) for number, line in enumerate(text.splitlines(), 1)]
