"""`manage.py bench`."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from django.core.management import call_command

from project.benchmarks import streams
from tests.support import openfga


def test_compares_both_sides(capsys: Any) -> None:
    call_command("bench", rounds=1, times=5, json=True)
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"read", "list of 20"}
    assert all(row["ours_ms"] > 0 and row["plain_ms"] > 0 and row["ratio"] > 0 for row in figures.values())


def test_measures_the_permission_engine(capsys: Any) -> None:
    call_command("bench", "permissions", scale=0.01, times=20, json=True, without_openfga=True)
    figures = json.loads(capsys.readouterr().out)
    assert figures["tuples"][0] < figures["tuples"][1]
    assert figures["list_objects_many_length"] == [100, 100]
    assert min(figures["check_reader_p50_ms"]) > 0
    assert figures["list_users_but_not_length"][1] < figures["list_users_length"][1] == 250


def test_measures_an_openfga_server_beside_the_engine(capsys: Any) -> None:
    if not os.environ.get(openfga.PROGRAM):
        pytest.skip("asks an OpenFGA server: test --services openfga")
    call_command("bench", "permissions", scale=0.001, times=5, json=True)
    theirs = json.loads(capsys.readouterr().out)["openfga"]
    assert theirs["check_with_round_trip_p50_ms"] > 0
    assert len(theirs) == 6


def test_measures_streams_that_are_open_and_idle(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(streams, "_IDLE_SECONDS", 1.0)
    monkeypatch.setattr(streams, "_NEWS", 5)
    call_command("bench", "streams", streams=30, json=True)
    figures = json.loads(capsys.readouterr().out)
    assert 50 < figures["memory_before_mb"] < figures["memory_mb"] + 20 < 320
    assert figures["commit_to_message_p50_ms"] > 0
    assert figures["stop_seconds"] < 30
