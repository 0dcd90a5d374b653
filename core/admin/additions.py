"""What a lower floor adds to the pages of objects that it does not know: a section, and commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Model

from core.admin.actions import CommandAction
from core.admin.parts import Section


@dataclass(frozen=True, slots=True)
class Addition:
    """`concerns` says on the pages of which tables it stands; `section` makes the section of one object, with few
    queries."""

    concerns: Callable[[type[Model]], bool]
    section: Callable[[Any], Section]
    commands: Sequence[CommandAction[Any]] = ()


additions: Final[list[Addition]] = []


def added_sections(obj: Model) -> list[Section]:
    """Return the sections that others add to the page of `obj`."""
    return [one.section(obj) for one in additions if one.concerns(type(obj))]


def added_commands(model: type[Model]) -> list[CommandAction[Any]]:
    """Return the commands that others add to the pages of a table."""
    return [command for one in additions if one.concerns(model) for command in one.commands]
