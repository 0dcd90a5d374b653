"""`manage.py permissions_test`: OpenFGA's ways of writing tests, and what it says of a wrong answer."""

from __future__ import annotations

import json
import os
import re
import shutil
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.permissions import providers, testing
from accounts.permissions.models import PermissionStore, RelationTuple
from tests.support.openfga import OpenFGA
from tests.support.processes import ROOT, free_port

pytestmark = pytest.mark.django_db

DATA = Path(__file__).parent / "data"
CONFORMANCE = os.environ.get("COUNTINGHOUSE_OPENFGA_TESTS", "")


def run(*arguments: str) -> tuple[int, str]:
    """The exit code of the command and what it prints."""
    output = StringIO()
    try:
        call_command("permissions_test", *arguments, stdout=output, no_color=True)
    except SystemExit as ended:
        return int(str(ended.code)), output.getvalue()
    return 0, output.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example that a test may spoil."""
    return Path(shutil.copytree(DATA, tmp_path / "data"))


@pytest.mark.parametrize("mode", [[], ["--contextual"]])
def test_runs_a_store_file_with_modules_and_tuples_in_other_files(mode: list[str]) -> None:
    code, output = run(str(DATA / "documents.fga.yaml"), *mode)
    assert output == "2 of 2 tests passed, 8 questions, 0 failures.\n"
    assert code == 0


def test_keeps_nothing() -> None:
    run(str(DATA / "documents.fga.yaml"))
    assert [store.name for store in PermissionStore.objects.all()] == ["countinghouse"]
    assert not RelationTuple.objects.exists()


def test_names_a_wrong_answer_and_ends_with_1(folder: Path) -> None:
    file = folder / "documents.fga.yaml"
    file.write_text(file.read_text().replace("can_view: [document:plan, document:minutes]", "can_view: []"))
    code, output = run(str(file))
    assert code == 1
    assert output.splitlines() == [
        "documents.fga.yaml: whom a document is open to, stage 1: list_objects user:bob can_view document: "
        "expected [], got [document:minutes, document:plan]",
        "1 of 2 tests passed, 8 questions, 1 failures.",
    ]


def test_prints_one_json_document(folder: Path) -> None:
    file = folder / "documents.fga.yaml"
    file.write_text(file.read_text().replace("can_view: true", "can_view: false"))
    code, output = run(str(file), "--json")
    document: dict[str, Any] = json.loads(output)
    assert (code, document["tests"], document["tests_failed"], document["questions"]) == (1, 2, 1, 8)
    assert document["failures"][0] == {
        "file": "documents.fga.yaml",
        "test": "whom a document is open to",
        "stage": 1,
        "query": "check user:ann can_view document:minutes",
        "expected": "no",
        "got": "yes",
    }


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (("./modules/fga.mod", "../elsewhere.fga"), "lies outside of the folder"),
        (("./tuples.csv", "./nothing.csv"), "There is no file './nothing.csv'"),
        (("model_file: ./modules/fga.mod", ""), "needs 'model' or 'model_file'"),
        (("model_file: ./modules/fga.mod", "model: 'type user'"), "expected 'model'"),
        (("assertions:", "asserted:"), "tests[0].check[0]: 'assertions' is missing"),
        (("check:", "checks:"), "tests[0]: there is no 'checks' here"),
        (("can_view: true", "can_view: 'no'"), "assertions.can_view: expected true or false"),
        (("- user: user:eve", "- usr: user:eve"), "'user' or 'users' is missing"),
        (("tests:", "texts:"), "a test file has a list 'tests'"),
        (("user: group:board#member", "user: group"), "'group' is no subject"),
    ],
)
def test_says_what_cannot_be_read_and_ends_with_2(folder: Path, spoil: tuple[str, str], expected: str) -> None:
    file = folder / "documents.fga.yaml"
    file.write_text(file.read_text().replace(*spoil))
    code, output = run(str(file))
    assert code == 2
    assert expected in output


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.json", "{", "'t.json': Expecting property name"),
        ("t.json", '{"user": "user:ann"}', "'t.json': expected a list"),
        ("t.json", "[5]", "'t.json': [0]: expected a mapping"),
        ("t.yaml", "a: [b", "'t.yaml': while parsing"),
        ("t.yaml", "- {user: 'user:ann', relation: member}", "'t.yaml': [0]: 'object' is missing"),
        ("t.csv", "user,relation,object\n1,2,3\n", "'t.csv': there is no column object_id, object_type, user_id"),
        ("t.txt", "", "'t.txt': tuples are read from .yaml, .json and .csv."),
    ],
)
def test_says_which_file_of_tuples_cannot_be_read(folder: Path, name: str, content: str, expected: str) -> None:
    file = folder / "documents.fga.yaml"
    (folder / name).write_text(content)
    file.write_text(file.read_text().replace("./tuples.csv", f"./{name}"))
    code, output = run(str(file))
    assert (code, output.splitlines()[0].startswith(f"{file}: {expected}")) == (2, True), output


def test_refuses_a_file_that_is_not_there() -> None:
    with pytest.raises(CommandError, match="There is no file"):
        run("nothing.fga.yaml")


def test_names_a_tuple_that_the_model_does_not_allow(folder: Path) -> None:
    file = folder / "documents.fga.yaml"
    file.write_text(file.read_text().replace("user: group:board#member", "user: folder:papers"))
    code, output = run(str(file))
    assert code == 1
    assert (
        "type 'folder' is not an allowed type restriction for 'document#viewer'; allowed: user, group#member" in output
    )


def test_reads_stages_and_error_codes(tmp_path: Path) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text(
        """
tests:
  - name: a relation that changes
    stages:
      - model: |
          model
            schema 1.1
          type user
          type document
            relations
              define viewer: [user]
        tuples: [{user: user:ann, relation: viewer, object: document:1}]
        checkAssertions:
          - tuple: {user: user:ann, relation: viewer, object: document:1}
            expectation: true
          - tuple: {user: user:ann, relation: editor, object: document:1}
            errorCode: 2000
        listObjectsAssertions:
          - request: {user: user:ann, relation: viewer, type: folder}
            errorCode: 2021
      - model: |
          model
            schema 1.1
          type user
          type document
            relations
              define viewer: [user:*]
        checkAssertions:
          - tuple: {user: user:ann, relation: viewer, object: document:1}
            expectation: false
          - tuple: {user: user:ann, relation: viewer, object: document:1}
            contextualTuples: [{user: user:ann, relation: viewer, object: document:1}]
            errorCode: 2027
        listUsersAssertions:
          - request: {object: document:1, relation: viewer, filters: [user]}
            contextualTuples: [{user: "user:*", relation: viewer, object: document:1}]
            expectation: ["user:*"]
"""
    )
    assert run(str(file)) == (0, "1 of 1 tests passed, 6 questions, 0 failures.\n")


def test_runs_the_example_of_the_how_to(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/permission-models.md").read_text()
    blocks = re.findall(r"```\w*\n(.*?)```", page, re.DOTALL)
    model, tests, shown = (
        next(block for block in blocks if block.startswith(word)) for word in ("model\n", "model_", "$")
    )
    (tmp_path / "model.fga").write_text(model)
    (tmp_path / "board.fga.yaml").write_text(tests)
    command, expected = shown.split("\n", 1)
    assert command == "$ python3 manage.py permissions_test board.fga.yaml"
    assert run(str(tmp_path / "board.fga.yaml")) == (0, expected)


@pytest.mark.skipif(not CONFORMANCE, reason="COUNTINGHOUSE_OPENFGA_TESTS names no folder with OpenFGA's own tests")
@pytest.mark.parametrize("is_given", [False, True], ids=["stored", "contextual"])
def test_answers_as_openfga_does(is_given: bool) -> None:
    results = [
        testing.run(test, is_given=is_given)
        for path in sorted(Path(CONFORMANCE).glob("*.yaml"))
        for test in testing.read(path)
    ]
    assert [str(failure) for result in results for failure in result.failures] == []
    assert sum(result.asked for result in results) > 1_000


@pytest.mark.skipif(not CONFORMANCE, reason="COUNTINGHOUSE_OPENFGA_TESTS names no folder with OpenFGA's own tests")
@pytest.mark.parametrize("mode", [[], ["--contextual"]], ids=["stored", "contextual"])
def test_lets_a_server_answer_openfgas_own_tests(openfga: OpenFGA, settings: Any, mode: list[str]) -> None:
    settings.OPENFGA_URL = openfga.address
    files = sorted(map(str, Path(CONFORMANCE).glob("*.yaml")))
    code, output = run("--provider", "openfga", *files, *mode)
    assert output.endswith("questions, 0 failures.\n")
    assert code == 0


def test_lets_the_chosen_provider_answer(openfga: OpenFGA, settings: Any, folder: Path) -> None:
    settings.PERMISSIONS_PROVIDER, settings.OPENFGA_URL = "openfga", openfga.address
    assert run(str(DATA / "documents.fga.yaml")) == (0, "2 of 2 tests passed, 8 questions, 0 failures.\n")
    stores = providers.server().server.get("list_stores", "/stores", page_size=100)["stores"]
    assert not [one for one in stores if one["name"].startswith("test 0")], "nothing is kept"
    file = folder / "documents.fga.yaml"
    file.write_text(file.read_text().replace("can_view: true", "can_view: false"))
    assert run(str(file))[0] == 1
    assert run(str(file), "--provider", "local")[0] == 1


def test_says_that_the_server_does_not_answer(settings: Any) -> None:
    settings.OPENFGA_URL = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError) as caught:
        run(str(DATA / "documents.fga.yaml"), "--provider", "openfga")
    assert caught.value.returncode == 2
