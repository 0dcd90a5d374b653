"""The generated pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from project.management.commands.reference import pages


@pytest.mark.parametrize("name", ["events.md", "errors.md", "permissions.md", "commands.md", "settings.md"])
def test_reference_page_is_up_to_date(name: str) -> None:
    written = (Path(settings.BASE_DIR) / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert pages()[name] == written, "run: python3 manage.py reference"
