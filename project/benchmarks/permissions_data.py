"""A made-up company for `bench permissions`: people in nested groups, folders seven deep, documents that are shared.

At scale 1: 25,000 people, 2,500 groups, 28,000 folders, 200,000 documents, 800,000 tuples. One person can edit 10,000
documents, one document is open to all people, but for a few.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final, TypeAlias

MODEL: Final = """model
  schema 1.1

type user

type group
  relations
    define member: [user, group#member]

type folder
  relations
    define parent: [folder]
    define editor: [user, group#member] or editor from parent
    define viewer: [user, group#member] or editor or viewer from parent

type document
  relations
    define parent: [folder]
    define banned: [user]
    define owner: [user]
    define editor: [user] or owner or editor from parent
    define viewer: [user, user:*, group#member] or editor or viewer from parent
    define reader: viewer but not banned
"""

DEPTH: Final = 7
MANY: Final = 10_000  # documents of the one who can edit so many, at scale 1
BUSY, OPEN = "busy", "open"

Row: TypeAlias = tuple[str, str, str, str, str, str]  # object, relation, subject with its relation


class Company:
    """Its sizes at a scale, and its tuples: the same each time."""

    def __init__(self, scale: float) -> None:
        self.people = max(50, round(25_000 * scale))
        self.groups = max(20, round(2_500 * scale))
        self.folders = max(70, round(28_000 * scale))
        self.documents = max(200, round(200_000 * scale))
        self.many = max(100, round(MANY * scale))

    def tuples(self) -> Iterator[Row]:
        """Every tuple; some stand twice."""
        chance = random.Random(5)  # noqa: S311 - the same each time
        yield from self._groups(chance)
        yield from self._folders(chance)
        for number in range(self.documents):
            name = str(number)
            yield "document", name, "parent", "folder", str(chance.randrange(self.folders)), ""
            yield "document", name, "owner", "user", str(chance.randrange(self.people)), ""
            if number % 2:
                yield "document", name, "viewer", "user", str(chance.randrange(self.people)), ""
            if number % 3 == 0:
                yield "document", name, "viewer", "group", str(chance.randrange(self.groups)), "member"
            if number % 10 == 0:
                yield "document", name, "banned", "user", str(chance.randrange(self.people)), ""
        for number in range(self.many):
            yield "document", str(number), "editor", "user", BUSY, ""
        yield "document", OPEN, "viewer", "group", "0", "member"
        for number in range(0, self.people, 100):
            yield "document", OPEN, "banned", "user", str(number), ""

    def _groups(self, chance: random.Random) -> Iterator[Row]:
        """Groups are a tree, three below each: group 0 holds everybody."""
        for number in range(1, self.groups):
            yield "group", str((number - 1) // 3), "member", "group", str(number), "member"
        for number in range(self.people):
            for group in {number % self.groups, *(chance.randrange(self.groups) for _ in range(5))}:
                yield "group", str(group), "member", "user", str(number), ""

    def _folders(self, chance: random.Random) -> Iterator[Row]:
        for number in range(self.folders):
            name = str(number)
            if number % DEPTH:
                yield "folder", name, "parent", "folder", str(number - 1), ""
            else:
                small = chance.randrange(self.groups // 4, self.groups)
                yield "folder", name, "viewer", "group", str(small), "member"
            yield "folder", name, "editor", "user", str(chance.randrange(self.people)), ""
