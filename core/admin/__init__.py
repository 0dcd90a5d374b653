"""The admin as every app writes it: pages of objects and lists (`EntityAdmin`) and the commands on them
(`CommandAction`). Small pieces of HTML stand in `html`, searching of long tables in `lists`."""

from __future__ import annotations

from core.admin.actions import Call, CommandAction, CommandForm, Effect, Outcome
from core.admin.entities import EntityAdmin
from core.admin.parts import Empty, Fact, Figure, Section

__all__ = [
    "Call",
    "CommandAction",
    "CommandForm",
    "Effect",
    "Empty",
    "EntityAdmin",
    "Fact",
    "Figure",
    "Outcome",
    "Section",
]
