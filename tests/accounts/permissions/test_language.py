"""The modelling language: what is read, what is refused and where, and that nothing is lost on the way out and back."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.permissions.language import Faulty, check, combine, from_json, parse, to_dsl, to_json
from accounts.permissions.language.model import (
    Computed,
    Condition,
    Exclusion,
    FromTupleset,
    Intersection,
    Model,
    ParameterType,
    Relation,
    Restriction,
    This,
    TypeDefinition,
    Union,
)
from accounts.permissions.language.modules import files_of

HEAD = "model\n  schema 1.1\ntype user\n"


def faults(text: str) -> list[tuple[str, int, int, int]]:
    """Every fault of a text, of its grammar or its meaning: type, line, first column, column after the last."""
    try:
        found = check(parse(text))
    except Faulty as faulty:
        found = list(faulty.faults)
    return [(str(fault.type), fault.place.line, fault.place.start, fault.place.end) for fault in found]


def document(definition: str, rest: str = "") -> str:
    """A model whose relation `it` of the type document stands in line 7, from column 5 on."""
    return f"{HEAD}type document\n  relations\n    define owner: [user]\n    define it: {definition}\n{rest}"


def test_reads_every_way_in_which_a_relation_is_made() -> None:
    model = parse(
        dedent(
            """
            # a comment in front
            model
              schema 1.1

            type user
            type group   # with blanks behind it
              relations
                define member: [user, user:*, group#member with in_office]
            type document
              relations

                # between relations
                define parent: [document]
                define editor: [user] or (owner but not banned)
                define owner: [user,
                    group#member]
                define banned: [user:*]
                define viewer: (editor and owner) or viewer from parent
            condition in_office(ip: ipaddress, nets: list<string>, most: map<list<int>>) {
              ip.in_cidr("10.0.0.0/8") && {"a": "}"}.size() == 1
            }
            """
        )
    )
    member = model.types["group"].relations["member"]
    assert member.restrictions == (
        Restriction("user"),
        Restriction("user", is_wildcard=True),
        Restriction("group", "member", condition="in_office"),
    )
    of_document = {name: relation.rewrite for name, relation in model.types["document"].relations.items()}
    assert of_document == {
        "parent": This(),
        "editor": Union((This(), Exclusion(Computed("owner"), Computed("banned")))),
        "owner": This(),
        "banned": This(),
        "viewer": Union((Intersection((Computed("editor"), Computed("owner"))), FromTupleset("viewer", "parent"))),
    }
    condition = model.conditions["in_office"]
    assert condition.expression == 'ip.in_cidr("10.0.0.0/8") && {"a": "}"}.size() == 1'
    assert {name: str(kind) for name, kind in condition.parameters.items()} == {
        "ip": "ipaddress",
        "nets": "list<string>",
        "most": "map<list<int>>",
    }
    assert check(model) == []


@pytest.mark.parametrize(
    ("text", "line", "start", "end"),
    [
        ("type user\n", 1, 1, 5),
        ("model\ntype user\n", 2, 1, 5),
        ("model\n  schema 11\n", 2, 10, 12),
        (HEAD + "type document\n  define it: [user]\n", 5, 3, 9),
        (document("[user] and owner or owner"), 7, 33, 35),
        (document("[user] or (owner or owner and owner)"), 7, 42, 45),
        (document("owner but not [user]"), 7, 30, 31),
        (document("[]"), 7, 17, 18),
        (document("[user:*:*]"), 7, 23, 24),
        (document("[user#owner:*]"), 7, 27, 28),
        (document("owner\n      or owner"), 8, 7, 9),
        (document("[user with c]", "condition c(x: number) { x < 1 }\n"), 8, 16, 22),
        (document("[user with c]", "condition c(x: int) { x < 1 \n"), 8, 21, 22),
        (document("[user with c]", "condition c(x: int, x: int) { x < 1 }\n"), 8, 21, 22),
        (document("owner ; owner"), 7, 22, 23),
    ],
)
def test_points_at_the_word_that_the_grammar_does_not_allow(text: str, line: int, start: int, end: int) -> None:
    assert [fault[1:] for fault in faults(text)] == [(line, start, end)]


def test_names_the_faults_of_all_statements_at_once() -> None:
    text = HEAD + "type a\n  relations\n    define x [user]\n    define y: [user\ntype b\n  relatons\ntype c\n"
    assert [line for _, line, _, _ in faults(text)] == [6, 7, 9]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model\n  schema 0.9\ntype user\n", ("invalid-schema", 2, 10, 13)),
        ("module billing\ntype user\n", ("schema-version-required", 0, 0, 0)),
        (HEAD + "type self\n", ("reserved-type-keywords", 4, 6, 10)),
        (HEAD + f"type {'a' * 255}\n", ("invalid-name", 4, 6, 261)),
        (HEAD + "type user\n", ("duplicated-error", 4, 6, 10)),
        (document("[user]\n    define this: [user]"), ("reserved-relation-keywords", 8, 12, 16)),
        (document(f"[user]\n    define {'a' * 51}: [user]"), ("invalid-name", 8, 12, 63)),
        (document("[user]\n    define it: [user]"), ("duplicated-error", 8, 12, 14)),
        (document("owner and nobody"), ("missing-definition", 7, 26, 32)),
        (document("owner but not nobody"), ("missing-definition", 7, 30, 36)),
        (document("[unknown]"), ("invalid-type", 7, 17, 24)),
        (document("[user, document#nobody]"), ("invalid-relation-type", 7, 23, 38)),
        (document("owner from nobody"), ("invalid-relation-type", 7, 16, 33)),
        (document("[document]\n    define x: nobody from it"), ("invalid-relation-type", 8, 15, 29)),
        (document("[document] or owner\n    define x: owner from it"), ("tupleuset-not-direct", 8, 15, 28)),
        (document("[document, document#owner]\n    define x: owner from it"), ("tupleuset-not-direct", 8, 15, 28)),
        (document("[document, document:*]\n    define x: owner from it"), ("type-wildcard-relation", 7, 27, 37)),
        (document("[user, user]"), ("duplicated-error", 7, 23, 27)),
        (document("owner or owner"), ("duplicated-error", 7, 25, 30)),
        (document("[user] or owner from p or owner from p\n    define p: [document]"), ("duplicated-error", 7, 42, 54)),
        (document("[document#it]"), ("relation-no-entry-point", 7, 12, 14)),
        (document("it from p\n    define p: [document]"), ("relation-no-entry-point", 7, 12, 14)),
        (document("[document#it] and owner"), ("relation-no-entry-point", 7, 12, 14)),
        (document("[document#it] but not owner"), ("relation-no-entry-point", 7, 12, 14)),
        (document("[user with nothing]"), ("condition-not-defined", 7, 17, 34)),
        (document("[user]", "condition unused(x: int) { x < 1 }\n"), ("condition-not-used", 8, 11, 17)),
    ],
)
def test_refuses_a_model_without_meaning(text: str, expected: tuple[str, int, int, int]) -> None:
    assert faults(text) == [expected]


def test_tells_a_loop_from_a_relation_that_nobody_can_have() -> None:
    found = check(parse(HEAD + "type document\n  relations\n    define a: b\n    define b: a\n"))
    assert ["potential loop" in fault.message for fault in found] == [True, True]


def test_accepts_a_relation_that_only_some_parents_have() -> None:
    text = document("[document, user]\n    define x: owner from it")
    assert faults(text) == []


# modules

CORE = "module core\ntype user\ntype organization\n  relations\n    define member: [user]\n"
WIKI = "module wiki\nextend type organization\n  relations\n    define editor: member\ntype page\n"


def test_combines_modules_into_one_model() -> None:
    model = combine({"core.fga": CORE, "wiki.fga": WIKI})
    assert check(model) == []
    relations = model.types["organization"].relations
    assert {name: relation.module for name, relation in relations.items()} == {"member": "core", "editor": "wiki"}
    assert list(model.types) == ["user", "organization", "page"]


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ("type page\n", "faulty.fga:2:6: duplicated-error: The type 'page' is a duplicate."),
        ("extend type nothing\n", "faulty.fga:2:13: extended-type-not-found: The extended type 'nothing'"),
        ("extend type page\n  relations\n    define a: [user\n", "faulty.fga:5:1: invalid-syntax: expected ']'"),
        ("extend type organization\n  relations\n    define member: [user]\n", "faulty.fga:4:12: duplicated-error"),
    ],
)
def test_names_the_file_of_a_module_at_fault(added: str, expected: str) -> None:
    with pytest.raises(Faulty) as caught:
        combine({"core.fga": CORE, "wiki.fga": WIKI, "faulty.fga": f"module faulty\n{added}"})
    assert str(caught.value).startswith(expected)


def test_refuses_a_module_that_is_a_whole_model_and_a_model_that_extends() -> None:
    with pytest.raises(Faulty, match="no module"):
        combine({"core.fga": HEAD})
    with pytest.raises(Faulty, match="Only a module extends"):
        parse(HEAD + "extend type user\n")


@pytest.mark.parametrize("name", ["/etc/passwd.fga", "../x.fga", "a/../../x.fga", "x.txt"])
def test_reads_no_file_outside_of_the_manifests_folder(name: str) -> None:
    with pytest.raises(Faulty, match="below its own folder"):
        files_of(f"schema: '1.2'\ncontents:\n  - {name}\n")


def test_reads_the_files_that_a_manifest_names() -> None:
    assert files_of("schema: '1.2'\ncontents:\n  - core.fga\n  - a/b.fga\n") == ("1.2", ["core.fga", "a/b.fga"])


# JSON

USERS = {"type": "user"}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        (None, "/"),
        ([], "/"),
        ({"schema_version": "1.1", "type_definitions": {}}, "/type_definitions"),
        ({"schema_version": "1.1", "type_definitions": ["user"]}, "/type_definitions/0"),
        ({"schema_version": "1.1", "type_definitions": [{}]}, "/type_definitions/0/type"),
        ({"type_definitions": [USERS]}, "/schema_version"),
        (
            {"schema_version": "1.1", "type_definitions": [USERS | {"relations": {"a": {"x": {}}}}]},
            "/type_definitions/0/relations/a",
        ),
        (
            {"schema_version": "1.1", "type_definitions": [USERS | {"relations": {"a": {"union": {"child": []}}}}]},
            "/type_definitions/0/relations/a/union/child",
        ),
    ],
)
def test_points_into_json_of_another_shape(given: object, pointer: str) -> None:
    with pytest.raises(Faulty) as caught:
        from_json(given)
    assert caught.value.faults[0].symbol or pointer == "/"
    assert str(caught.value).startswith(f"invalid-syntax: {pointer} ")


def test_reads_json_in_either_spelling() -> None:
    relations = {"a": {"tuple_to_userset": {"computed_userset": {"relation": "a"}, "tupleset": {"relation": "p"}}}}
    document = {"schemaVersion": "1.1", "typeDefinitions": [{"type": "x", "relations": relations}]}
    assert from_json(document).types["x"].relations["a"].rewrite == FromTupleset("a", "p")


# there and back

names = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z").filter(
    lambda name: name not in {"or", "and", "but", "not", "from", "with", "define", "type", "relations", "condition"}
)
parameter_types = st.recursive(
    st.sampled_from(["int", "string", "bool", "timestamp", "ipaddress"]).map(ParameterType),
    lambda inner: st.builds(ParameterType, st.sampled_from(["list", "map"]), st.tuples(inner)),
    max_leaves=3,
)
restrictions = st.one_of(
    st.builds(Restriction, names, condition=st.just("") | names),
    st.builds(Restriction, names, names, condition=st.just("") | names),
    st.builds(Restriction, names, is_wildcard=st.just(True), condition=st.just("") | names),
)
leaves = st.one_of(st.builds(Computed, names), st.builds(FromTupleset, names, names))


def operators(operand: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(operand, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Union, several), st.builds(Intersection, several), st.builds(Exclusion, operand, operand)
    )


rewrites = st.recursive(leaves, operators, max_leaves=8)


@st.composite
def relations(draw: st.DrawFn, name: str) -> Relation:
    if draw(st.booleans()):
        return Relation(name, draw(rewrites))
    own = tuple(draw(st.lists(restrictions, min_size=1, max_size=3)))
    rewrite = draw(st.sampled_from([This(), Union((This(), draw(rewrites))), Exclusion(This(), draw(rewrites))]))
    return Relation(name, rewrite, own)


@st.composite
def models(draw: st.DrawFn) -> Model:
    types = {}
    for type_name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        defined = {name: draw(relations(name)) for name in draw(st.lists(names, max_size=3, unique=True))}
        types[type_name] = TypeDefinition(type_name, defined)
    conditions = {
        name: Condition(name, draw(st.dictionaries(names, parameter_types, min_size=1, max_size=2)), "x < 1")
        for name in draw(st.lists(names, max_size=2, unique=True))
    }
    return Model("1.1", types, conditions)


@given(models())
def test_loses_nothing_as_text_and_as_json(model: Model) -> None:
    assert parse(to_dsl(model)) == model
    assert from_json(to_json(model)) == model


def test_says_what_only_json_can_say() -> None:
    odd = Union((Computed("a"), This()))
    model = Model("1.1", {"x": TypeDefinition("x", {"r": Relation("r", odd, (Restriction("x"),))})})
    with pytest.raises(ValueError, match="only JSON"):
        to_dsl(model)
