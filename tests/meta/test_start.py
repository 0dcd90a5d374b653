"""A start is cheap, and the migrations are complete."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parent.parent.parent
CPU_SECONDS = 2.5
VENDOR_SDKS = (
    "google.genai",
    "httpcore2",
    "elasticsearch",
    "django_elasticsearch_dsl",
    "openfga_sdk",
    "novu_py",
    "stripe",
    "boto3",
    "pytest",
    "hypothesis",
)


def _cpu_seconds(*arguments: str, bytecode: Path) -> float:
    """Run Python with `arguments`, its compiled modules kept in `bytecode`; return the CPU seconds that it took."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode), "DJANGO_SETTINGS_MODULE": "project.settings"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def test_check_takes_little_processor_time(tmp_path: Path) -> None:
    _cpu_seconds("manage.py", "check", bytecode=tmp_path)  # compiles
    spent = min(_cpu_seconds("manage.py", "check", bytecode=tmp_path) for _ in range(2))
    assert spent < CPU_SECONDS, "find what is imported by `python -X importtime manage.py check`"


def test_no_vendor_sdk_is_imported_at_start(tmp_path: Path) -> None:
    code = f"""
import sys
import django
django.setup()
from django.core.management import call_command
call_command("check")
found = [name for name in {VENDOR_SDKS!r} if name in sys.modules]
sys.exit(f"imported at start: {{found}}" if found else 0)
"""
    _cpu_seconds("-c", code, bytecode=tmp_path)


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_bootstrap_needs_the_standard_library_alone() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import project.bootstrap"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)
