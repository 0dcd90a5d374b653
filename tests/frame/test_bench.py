"""`manage.py bench`."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import call_command


def test_compares_both_sides(capsys: Any) -> None:
    call_command("bench", rounds=1, times=5, json=True)
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"read", "list of 20"}
    assert all(row["ours_ms"] > 0 and row["plain_ms"] > 0 and row["ratio"] > 0 for row in figures.values())
