"""`manage.py reference`: the generated pages of docs/reference, and `.env.example`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import states
from core import reference
from project.settings.variables import VARIABLES

OUR_APPS = {"project", "core", "audit", "search", "accounts", "billing", "notifications", "ai"}


def pages() -> dict[str, str]:
    """Return every generated file by its path in the repository."""
    return {
        "docs/reference/events.md": reference.events_page(),
        "docs/reference/errors.md": reference.errors_page(),
        "docs/reference/permissions.md": reference.permissions_page(),
        "docs/reference/commands.md": reference.commands_page(OUR_APPS),
        "docs/reference/subscription-states.md": states.as_markdown(),
        "docs/reference/settings.md": reference.settings_page(VARIABLES),
        ".env.example": reference.env_example(VARIABLES),
    }


class Command(BaseCommand):
    help = "Write the generated pages of docs/reference and .env.example; with --check say which are out of date."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is out of date")

    def handle(self, *, check: bool, **options: Any) -> None:
        folder = Path(settings.BASE_DIR)
        stale = [name for name, text in pages().items() if _read(folder / name) != text]
        if check and stale:
            raise CommandError(f"Out of date: {', '.join(stale)}. Run: python3 manage.py reference")
        for name in stale:
            (folder / name).write_text(pages()[name], encoding="utf-8")
        self.stdout.write(
            f"{len(stale)} of {len(pages())} pages written." if not check else "All pages are up to date."
        )


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
