"""The commands beside each row of a list in the admin."""

from __future__ import annotations

from typing import Any

from django import template

register = template.Library()


@register.simple_tag
def row_commands(commands: Any, obj: Any) -> Any:
    """Return what the row's state allows: `{% row_commands actions row as offered %}`."""
    return commands.of(obj)
