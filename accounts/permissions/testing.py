"""Tests of models, written as OpenFGA's command line writes them (`*.fga.yaml` store files) or as OpenFGA's own
conformance tests are (tests with stages, their assertions with error codes).

Each test is asked in a store of its own that is rolled back, or removed. Files that a store file names are read from
its folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from django.db import transaction

from accounts.permissions.faults import Refused
from accounts.permissions.language import Faulty, Model, combine, parse
from accounts.permissions.language.modules import MANIFEST, files_of
from accounts.permissions.providers.base import Engine, Provider
from accounts.permissions.providers.local import LocalProvider
from accounts.permissions.testing_shapes import STORE_FILE, TUPLES, faults
from accounts.permissions.tuples import Tuple
from core.ids import new_id

Answer: TypeAlias = bool | list[str] | str


_COLUMNS = frozenset({"user_type", "user_id", "relation", "object_type", "object_id"})
_TOLD = 5  # faults of one file that are told


class UnreadableFile(ValueError):
    """The test file is not of either shape, or names a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Question:
    """One query and the answer that is expected: yes or no, a list in any order, or "error 2000"."""

    text: str
    ask: Callable[[Engine], Answer]
    expected: Answer


@dataclass(frozen=True, slots=True)
class Stage:
    """A model (None: that of the stage before), tuples that are added, and questions."""

    model: Model | None
    tuples: tuple[Tuple, ...]
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """One named test of a file."""

    file: str
    name: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A question that was answered otherwise, or a model or tuple that could not be taken (then `query` says which)."""

    file: str
    test: str
    stage: int
    query: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.file}: {self.test}, stage {self.stage}: {self.query}: expected {self.expected}, got {self.got}"


@dataclass(slots=True)
class Result:
    """What a test came to."""

    asked: int
    failures: list[Failure]


def read(path: Path) -> list[Test]:
    """Read a test file. Raises UnreadableFile, and Faulty for a model that cannot be read."""
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnreadableFile(f"{path}: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("tests"), list):
        raise UnreadableFile(f"{path}: a test file has a list 'tests'.")
    try:
        if any("stages" in test for test in document["tests"]):
            return [_conformance_test(path, test) for test in document["tests"]]
        _check_shape(document, STORE_FILE)
        return list(_store_file(path, document))
    except Faulty:
        raise
    except (OSError, ValueError) as error:  # Refused and UnreadableFile among them
        raise UnreadableFile(f"{path}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableFile(f"{path}: not of the shape of a test file ({error!r}).") from error


def _check_shape(document: Any, shape: Any) -> None:
    found = [*islice(faults(document, shape), _TOLD)]
    if found:
        raise UnreadableFile("; ".join(found))


def run(test: Test, *, is_given: bool = False, provider: Provider | None = None) -> Result:
    """Ask all questions of a test, of our engine or of another provider. With `is_given` tuples are not stored but
    brought along with each question. The store is removed again."""
    name = f"test {new_id()}"
    if provider is None:
        with transaction.atomic():
            found = _run(test, name, LocalProvider(), is_given)
            transaction.set_rollback(True)
        return found
    try:
        return _run(test, name, provider, is_given)
    finally:
        provider.remove(name)


def _run(test: Test, name: str, provider: Provider, is_given: bool) -> Result:
    result = Result(0, [])
    engine: Engine | None = None
    tuples: list[Tuple] = []
    for number, stage in enumerate(test.stages, 1):
        try:
            if stage.model is not None:
                engine = provider.save_model(name, stage.model)
            assert engine is not None
            tuples.extend(stage.tuples)
            if not is_given:
                engine.write(stage.tuples)
        except (Faulty, Refused) as error:
            result.failures.append(Failure(test.file, test.name, number, "set-up", "no fault", str(error)))
            break
        given = tuple(filter(engine.allows, tuples)) if is_given else ()  # what is stale is ignored
        asked = engine.giving(given)
        for question in stage.questions:
            result.asked += 1
            got = _answer(question, asked)
            if got != question.expected:
                texts = (_shown(question.expected), _shown(got))
                result.failures.append(Failure(test.file, test.name, number, question.text, *texts))
    return result


def _answer(question: Question, engine: Engine) -> Answer:
    try:
        return question.ask(engine)
    except Refused as refused:
        return f"error {int(refused.code)}"


def _shown(answer: Answer) -> str:
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return answer if isinstance(answer, str) else f"[{', '.join(answer)}]"


# questions


def _check(subject: str, relation: str, target: str, expected: Answer, **rest: Any) -> Question:
    return Question(
        f"check {subject} {relation} {target}", lambda engine: engine.check(subject, relation, target, **rest), expected
    )


def _list_objects(subject: str, relation: str, kind: str, expected: Answer, **rest: Any) -> Question:
    def ask(engine: Engine) -> Answer:
        return sorted(engine.list_objects(subject, relation, kind, **rest))

    return Question(f"list_objects {subject} {relation} {kind}", ask, expected)


def _list_users(target: str, relation: str, kind: str, expected: Answer, **rest: Any) -> Question:
    def ask(engine: Engine) -> Answer:
        return sorted(engine.list_users(target, relation, kind, **rest))

    return Question(f"list_users {target} {relation} {kind}", ask, expected)


# OpenFGA's conformance tests


def _conformance_test(path: Path, document: Mapping[str, Any]) -> Test:
    stages = []
    for stage in document["stages"]:
        model = parse(stage["model"]) if stage.get("model") else None
        stages.append(Stage(model, tuple(map(Tuple.parse, stage.get("tuples") or [])), tuple(_assertions(stage))))
    return Test(path.name, document["name"], tuple(stages))


def _assertions(stage: Mapping[str, Any]) -> Iterator[Question]:
    for item in stage.get("checkAssertions") or []:
        key = item["tuple"]
        yield _check(key["user"], key["relation"], key["object"], _expected(item, bool), **_brought(item))
    for item in stage.get("listObjectsAssertions") or []:
        asked = item["request"]
        expected = _expected(item, _sorted)
        yield _list_objects(asked["user"], asked["relation"], asked["type"], expected, **_brought(item))
    for item in stage.get("listUsersAssertions") or []:
        asked = item["request"]
        for kind in asked["filters"]:
            yield _list_users(asked["object"], asked["relation"], kind, _expected(item, _sorted), **_brought(item))


def _expected(item: Mapping[str, Any], shape: Callable[[Any], Answer]) -> Answer:
    return f"error {item['errorCode']}" if item.get("errorCode") else shape(item.get("expectation"))


def _sorted(values: Iterable[str] | None) -> list[str]:
    return sorted(values or [])


def _brought(item: Mapping[str, Any]) -> dict[str, Any]:
    """Contextual tuples are read when the question is asked, so that one that is none becomes the answer's error."""
    return {"given": item.get("contextualTuples") or [], "context": item.get("context") or {}}


# store files


def _store_file(path: Path, document: Mapping[str, Any]) -> Iterator[Test]:
    model = _model(path.parent, document)
    common = _tuples(path.parent, document)
    for number, test in enumerate(document["tests"], 1):
        tuples = (*common, *_tuples(path.parent, test))
        questions = tuple(_queries(test))
        yield Test(path.name, test.get("name") or f"test {number}", (Stage(model, tuples, questions),))


def _model(folder: Path, document: Mapping[str, Any]) -> Model:
    if document.get("model"):
        return parse(document["model"])
    if not document.get("model_file"):
        raise UnreadableFile("A store file needs 'model' or 'model_file'.")
    path = _inside(folder, document["model_file"])
    text = path.read_text()
    if path.name != MANIFEST:
        return parse(text)
    schema, names = files_of(text)
    return combine({name: _inside(path.parent, name).read_text() for name in names}, schema)


def _inside(folder: Path, name: str) -> Path:
    """A file below the folder of the file that names it; no other is read."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UnreadableFile(f"'{name}' lies outside of the folder of the file that names it.")
    if not path.is_file():
        raise UnreadableFile(f"There is no file '{name}' beside the test file.")
    return path


def _tuples(folder: Path, document: Mapping[str, Any]) -> tuple[Tuple, ...]:
    keys = list(document.get("tuples") or [])
    names = [document["tuple_file"]] if document.get("tuple_file") else []
    for name in [*names, *(document.get("tuple_files") or [])]:
        keys.extend(_tuple_file(_inside(folder, name)))
    return tuple(map(Tuple.parse, keys))


def _tuple_file(path: Path) -> list[Any]:
    try:
        found = _tuples_in(path.suffix, path.read_text())
        _check_shape(found, TUPLES)
    except (ValueError, yaml.YAMLError) as error:
        raise UnreadableFile(f"'{path.name}': {error}") from error
    return found


def _tuples_in(suffix: str, text: str) -> Any:
    match suffix:
        case ".csv":
            rows = csv.DictReader(text.splitlines())
            missing = _COLUMNS - set(rows.fieldnames or ())
            if missing:
                raise UnreadableFile(f"there is no column {', '.join(sorted(missing))}")
            return list(map(_from_columns, rows))
        case ".json":
            return json.loads(text)
        case ".yaml" | ".yml":
            return yaml.safe_load(text) or []
    raise UnreadableFile("tuples are read from .yaml, .json and .csv.")


def _from_columns(row: Mapping[str, str]) -> dict[str, Any]:
    """A line of OpenFGA's CSV: user_type, user_id, user_relation, relation, object_type, object_id, condition_name,
    condition_context (JSON)."""
    relation = f"#{row['user_relation']}" if row.get("user_relation") else ""
    key: dict[str, Any] = {
        "user": f"{row['user_type']}:{row['user_id']}{relation}",
        "relation": row["relation"],
        "object": f"{row['object_type']}:{row['object_id']}",
    }
    if row.get("condition_name"):
        key["condition"] = {"name": row["condition_name"], "context": json.loads(row.get("condition_context") or "{}")}
    return key


def _queries(test: Mapping[str, Any]) -> Iterator[Question]:
    for item in test.get("check") or []:
        for subject in item.get("users") or [item["user"]]:
            for target in item.get("objects") or [item["object"]]:
                for relation, expected in item["assertions"].items():
                    yield _check(subject, relation, target, expected, context=item.get("context") or {})
    for item in test.get("list_objects") or []:
        for relation, expected in item["assertions"].items():
            rest = {"context": item.get("context") or {}}
            yield _list_objects(item["user"], relation, item["type"], _sorted(expected), **rest)
    for item in test.get("list_users") or []:
        for wanted in item["user_filter"]:
            kind = f"{wanted['type']}#{wanted['relation']}" if wanted.get("relation") else wanted["type"]
            for relation, expected in item["assertions"].items():
                users = _sorted((expected or {}).get("users"))
                yield _list_users(item["object"], relation, kind, users, context=item.get("context") or {})
