"""Modular models (schema 1.2): `fga.mod` names the files, each a `module` that declares types or extends others'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import yaml

from accounts.permissions.language.faults import Fault, FaultType, Faulty
from accounts.permissions.language.model import Condition, Model, TypeDefinition
from accounts.permissions.language.parser import Source, parse_source

MANIFEST = "fga.mod"


def files_of(manifest: str) -> tuple[str, list[str]]:
    """Return the schema version and the files that an `fga.mod` names. Raises Faulty, also for a file outside the
    manifest's folder."""
    try:
        document: Any = yaml.safe_load(manifest)
    except yaml.YAMLError as error:
        raise _wrong(f"{MANIFEST} is no YAML: {error}.") from error
    if not isinstance(document, dict) or not isinstance(document.get("contents"), list):
        raise _wrong(f"{MANIFEST} needs 'schema' and a list 'contents'.")
    if str(document.get("schema")) != "1.2":
        raise Faulty([Fault(FaultType.SCHEMA_VERSION_UNSUPPORTED, "Modular models have the schema 1.2.")])
    names = []
    for name in document["contents"]:
        path = PurePosixPath(str(name))
        if path.is_absolute() or ".." in path.parts or path.suffix != ".fga":
            raise _wrong(f"{MANIFEST} names '{name}': a file below its own folder, ending in .fga, is expected.")
        names.append(str(path))
    return "1.2", names


def combine(sources: Mapping[str, str], schema_version: str = "1.2") -> Model:
    """Make one model of several modules (file name to text). Raises Faulty with the faults of all files."""
    faults: list[Fault] = []
    types: dict[str, TypeDefinition] = {}
    conditions: dict[str, Condition] = {}
    read: list[tuple[str, Source]] = []
    for file, text in sources.items():
        try:
            read.append((file, parse_source(text, file)))
        except Faulty as faulty:
            faults.extend(faulty.faults)
    for file, source in read:
        if not source.module:
            faults.append(Fault(FaultType.SYNTAX, f"'{file}' is no module: it must begin with 'module <name>'."))
        _declare(source, types, conditions, faults)
    for _, source in read:
        for extension in source.extensions:
            _extend(extension, types, faults)
    if faults:
        raise Faulty(faults)
    return Model(schema_version, types, conditions)


def _declare(
    source: Source, types: dict[str, TypeDefinition], conditions: dict[str, Condition], faults: list[Fault]
) -> None:
    for definition in source.types:
        if types.setdefault(definition.name, definition) is not definition:
            message = f"The type '{definition.name}' is a duplicate."
            faults.append(Fault(FaultType.DUPLICATED, message, definition.place, definition.name))
    for condition in source.conditions:
        if conditions.setdefault(condition.name, condition) is not condition:
            message = f"The condition '{condition.name}' is a duplicate."
            faults.append(Fault(FaultType.DUPLICATED, message, condition.place, condition.name))


def _extend(extension: TypeDefinition, types: dict[str, TypeDefinition], faults: list[Fault]) -> None:
    known = types.get(extension.name)
    if known is None:
        message = f"The extended type '{extension.name}' does not exist."
        faults.append(Fault(FaultType.EXTENDED_TYPE_UNKNOWN, message, extension.place, extension.name))
        return
    for name, relation in extension.relations.items():
        if name in known.relations:
            message = f"The relation '{name}' already exists on the type '{known.name}'."
            faults.append(Fault(FaultType.DUPLICATED, message, relation.place, name))
    types[extension.name] = replace(known, relations={**extension.relations, **known.relations})


def _wrong(message: str) -> Faulty:
    return Faulty([Fault(FaultType.SYNTAX, message)])
