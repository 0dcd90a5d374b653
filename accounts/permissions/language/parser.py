"""From text to a model: the OpenFGA DSL, schema 1.1, and the files of modular models (schema 1.2).

Source of the grammar: openfga/language, OpenFGAParser.g4. Faults are told in sentences of our own, at OpenFGA's places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

from accounts.permissions.language.faults import NOWHERE, Fault, FaultType, Faulty, Place
from accounts.permissions.language.model import (
    WILDCARD,
    Computed,
    Condition,
    Exclusion,
    FromTupleset,
    Intersection,
    Model,
    ParameterType,
    Relation,
    Restriction,
    Rewrite,
    This,
    TypeDefinition,
    Union,
)
from accounts.permissions.language.tokens import Token, tokens

_T = TypeVar("_T")
_GENERIC = {"list": 1, "map": 1}  # how many types stand between < and >
_PLAIN = frozenset({"bool", "string", "int", "uint", "double", "duration", "timestamp", "any", "ipaddress"})
_STATEMENTS = frozenset({"type", "extend", "condition"})


@dataclass(slots=True)
class Source:
    """One file as it is written, before names are looked up."""

    schema_version: str = ""
    schema_place: Place = NOWHERE
    module: str = ""
    types: list[TypeDefinition] = field(default_factory=list)
    extensions: list[TypeDefinition] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)


def parse(text: str) -> Model:
    """Read a whole model. Raises Faulty with every fault of the grammar (one for each statement at most)."""
    source = parse_source(text)
    types: dict[str, TypeDefinition] = {}
    conditions: dict[str, Condition] = {}
    repeated: list[TypeDefinition | Condition] = []
    for definition in source.types:
        if types.setdefault(definition.name, definition) is not definition:
            repeated.append(definition)
    for condition in source.conditions:
        if conditions.setdefault(condition.name, condition) is not condition:
            repeated.append(condition)
    if source.extensions:
        extension = source.extensions[0]
        raise Faulty([Fault(FaultType.SYNTAX, "Only a module extends a type.", extension.place, extension.name)])
    return Model(source.schema_version, types, conditions, tuple(repeated), source.schema_place)


def parse_source(text: str, file: str = "") -> Source:
    """Read one file: a model or a module. Raises Faulty."""
    return _Parser(list(tokens(text, file))).source()


class _Parser:
    """Recursive descent with one token ahead. After a fault it goes on at the next statement, so that one reading
    names the faults of all of them."""

    def __init__(self, stream: list[Token]) -> None:
        self._stream = stream
        self._at = 0
        self._faults: list[Fault] = []
        self._module = ""

    # what stands next

    @property
    def _next(self) -> Token:
        return self._stream[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _is(self, *texts: str) -> bool:
        return self._next.kind in ("word", "mark") and self._next.text in texts

    def _took(self, text: str) -> bool:
        found = self._is(text)
        if found:
            self._take()
        return found

    def _expect(self, text: str) -> Token:
        return self._take() if self._is(text) else self._fail(f"expected '{text}'")

    def _name(self, what: str) -> Token:
        return self._take() if self._next.kind in ("word", "number") else self._fail(f"expected {what}")

    def _fail(self, expected: str) -> NoReturn:
        token = self._next
        raise Faulty([Fault(FaultType.SYNTAX, f"{expected}, found {token}.", token.place, token.text.strip())])

    def _skip_lines(self) -> None:
        while self._next.kind == "line":
            self._take()

    def _end_of_line(self) -> None:
        if self._next.kind not in ("line", "end"):
            if self._is("or", "and", "but"):
                self._fail("operators are mixed: put one kind between brackets")
            self._fail("expected the end of the line")
        self._skip_lines()

    # statements

    def source(self) -> Source:
        source = Source()
        self._skip_lines()
        self._guarded(lambda: self._header(source))
        while self._next.kind != "end":
            self._guarded(lambda: self._statement(source))
        if self._faults:
            raise Faulty(self._faults)
        return source

    def _guarded(self, read: Callable[[], None]) -> None:
        try:
            read()
        except Faulty as faulty:
            self._faults.extend(faulty.faults)
            self._go_on_at(_STATEMENTS)

    def _go_on_at(self, words: frozenset[str]) -> None:
        """Skip to the next line that begins with one of `words`."""
        while self._next.kind != "end":
            starts_line = self._at == 0 or self._stream[self._at - 1].kind == "line"
            if starts_line and self._next.text in words:
                return
            self._take()

    def _header(self, source: Source) -> None:
        if self._took("module"):
            source.module = self._module = self._name("the module's name").text
        elif self._took("model"):
            self._skip_lines()
            self._expect("schema")
            if self._next.kind != "number":
                self._fail("expected a schema version such as 1.1")
            version = self._take()
            source.schema_version, source.schema_place = version.text, version.place
        else:
            self._fail("expected 'model' (or 'module')")
        self._end_of_line()

    def _statement(self, source: Source) -> None:
        if self._took("condition"):
            source.conditions.append(self._condition())
        elif self._took("extend"):
            self._expect("type")
            source.extensions.append(self._type())
        elif self._took("type"):
            source.types.append(self._type())
        else:
            self._fail("expected 'type' or 'condition'")

    def _type(self) -> TypeDefinition:
        name = self._name("the type's name")
        self._end_of_line()
        relations: dict[str, Relation] = {}
        if self._took("relations"):
            self._end_of_line()
            if not self._is("define"):
                self._fail("expected 'define'")
            while self._took("define"):
                self._define(name.text, relations)
        return TypeDefinition(name.text, relations, name.place, self._module)

    def _define(self, type_name: str, relations: dict[str, Relation]) -> None:
        try:
            relation = self._relation()
        except Faulty as faulty:
            self._faults.extend(faulty.faults)
            self._go_on_at(_STATEMENTS | {"define"})
            return
        if relations.setdefault(relation.name, relation) is not relation:
            message = f"'{relation.name}' is already defined in '{type_name}'."
            self._faults.append(Fault(FaultType.DUPLICATED, message, relation.place, relation.name))

    # relations

    def _relation(self) -> Relation:
        name = self._name("the relation's name")
        self._expect(":")
        restrictions: list[Restriction] = []
        rewrite = self._rewrite(restrictions)
        self._end_of_line()
        return Relation(name.text, rewrite, tuple(restrictions), name.place, self._module)

    def _rewrite(self, restrictions: list[Restriction] | None) -> Rewrite:
        """One operand, or several with one operator between them. Only the first may be a list of types."""
        first = self._operand(restrictions)
        if self._took("but"):
            self._expect("not")
            return Exclusion(first, self._operand(None))
        for word, operator in (("or", Union), ("and", Intersection)):
            if self._is(word):
                operands = [first]
                while self._took(word):
                    operands.append(self._operand(None))
                return operator(tuple(operands))
        return first

    def _operand(self, restrictions: list[Restriction] | None) -> Rewrite:
        if self._took("("):
            inner = self._rewrite(restrictions)
            if self._is("or", "and", "but"):
                self._fail("operators are mixed: put one kind between brackets")
            self._expect(")")
            return inner
        if self._is("["):
            if restrictions is None:
                self._fail("a list of types stands first or not at all; expected a relation or '('")
            opening = self._take()
            restrictions.extend(self._listed("]", self._restriction))
            return This(opening.place)
        name = self._name("a relation, a list of types or '('")
        if not self._took("from"):
            return Computed(name.text, name.place)
        tupleset = self._name("a relation after 'from'")
        place = Place(name.place.line, name.place.start, tupleset.place.end, name.place.file)
        return FromTupleset(name.text, tupleset.text, place)

    def _listed(self, closing: str, read: Callable[[], _T]) -> Iterator[_T]:
        """What stands between commas up to `closing`; at least one."""
        yield read()
        while self._took(","):
            yield read()
        self._expect(closing)

    def _restriction(self) -> Restriction:
        name = self._name("a type")
        relation, is_wildcard, condition, end = "", False, "", name.place.end
        if self._took(":"):
            end = self._expect(WILDCARD).place.end
            is_wildcard = True
        elif self._took("#"):
            token = self._name("a relation after '#'")
            relation, end = token.text, token.place.end
        if self._took("with"):
            token = self._name("a condition after 'with'")
            condition, end = token.text, token.place.end
        place = Place(name.place.line, name.place.start, end, name.place.file)
        return Restriction(name.text, relation, is_wildcard, condition, place)

    # conditions

    def _condition(self) -> Condition:
        name = self._name("the condition's name")
        self._expect("(")
        parameters: dict[str, ParameterType] = {}
        for token, kind in self._listed(")", self._parameter):
            if parameters.setdefault(token.text, kind) is not kind:
                message = f"The parameter '{token.text}' is declared twice."
                self._faults.append(Fault(FaultType.DUPLICATED, message, token.place, token.text))
        if self._next.kind != "body":
            self._fail("expected '{' and the condition's expression")
        expression = self._take().text.strip()
        self._end_of_line()
        return Condition(name.text, parameters, expression, name.place, self._module)

    def _parameter(self) -> tuple[Token, ParameterType]:
        name = self._name("a parameter's name")
        self._expect(":")
        return name, self._parameter_type()

    def _parameter_type(self) -> ParameterType:
        name = self._name("a parameter's type")
        if name.text in _GENERIC:
            self._expect("<")
            inner = tuple(self._listed(">", self._parameter_type))
            return ParameterType(name.text, inner)
        if name.text not in _PLAIN:
            known = ", ".join(sorted({*_PLAIN, *(f"{name}<…>" for name in _GENERIC)}))
            message = f"There is no parameter type '{name.text}'; known are {known}."
            raise Faulty([Fault(FaultType.SYNTAX, message, name.place, name.text)])
        return ParameterType(name.text)
