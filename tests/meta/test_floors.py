"""Nothing points upward: what import-linter does not see (relations, migrations, names in strings)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader

ROOT = Path(__file__).resolve().parent.parent.parent
# From the ground up. Apps of one height are strangers to each other.
FLOORS = {"core": 0, "audit": 1, "search": 2, "accounts": 3, "billing": 4, "notifications": 4, "ai": 5, "project": 6}
_DOTTED = re.compile(r"^([a-z]+)\.(\w+)(\.\w+)*$")


def _is_out_of_reach(app: str, target: str) -> bool:
    """Whether `app` may not know `target`: it stands higher, or beside it. What is not ours lies below all."""
    return app != target and FLOORS.get(target, -1) >= FLOORS.get(app, -1) >= 0


def _sources() -> Iterator[tuple[str, Path]]:
    for app in FLOORS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield app, path


def _references(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """All strings that read like `app.Model` or a dotted path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.match(node.value):
            yield node.lineno, node.value


def _is_code(reference: str) -> bool:
    """Whether a dotted string names a model or a module of ours, and not an event, a permission or a command."""
    app, second, *rest = reference.split(".")
    if second[0].isupper():
        return (
            any(model.__name__ == second for model in apps.get_app_config(app).get_models()) if app in FLOORS else False
        )
    place = ROOT / app / second
    return (place.is_dir() and (place / "__init__.py").exists() and bool(rest)) or place.with_suffix(".py").exists()


def test_no_relation_points_upward() -> None:
    faults = []
    for model in apps.get_models():
        if model._meta.app_label not in FLOORS:
            continue
        for field in model._meta.get_fields(include_hidden=True):
            if field.auto_created or not field.is_relation or field.related_model is None:
                continue
            target = field.related_model._meta
            if _is_out_of_reach(model._meta.app_label, target.app_label):
                faults.append(f"{model._meta.label}.{field.name} -> {target.label}")
    assert not faults


def test_no_migration_depends_on_a_higher_floor() -> None:
    loader = MigrationLoader(None)
    # What the framework's own swappable models ask for is named by a setting, not by us.
    faults = [
        f"{app}.{name} -> {parent}"
        for (app, name), migration in loader.disk_migrations.items()
        if app in FLOORS
        for parent, _ in [*migration.dependencies, *migration.run_before]
        if _is_out_of_reach(app, parent)
    ]
    assert not faults


def test_no_string_names_code_of_a_higher_floor() -> None:
    faults = []
    for app, path in _sources():
        for line, reference in _references(ast.parse(path.read_text())):
            if _is_out_of_reach(app, reference.split(".")[0]) and _is_code(reference):
                faults.append(f"{path.relative_to(ROOT)}:{line} {reference}")
    assert not faults


@pytest.mark.parametrize(
    ("reference", "is_code"),
    [
        ("accounts.User", True),
        ("core.errors", True),
        ("billing.services.subscriptions", True),
        ("billing.subscription.canceled", False),
        ("core.command.refused", False),
    ],
)
def test_tells_code_from_names_of_events(reference: str, is_code: bool) -> None:
    assert _is_code(reference) is is_code
