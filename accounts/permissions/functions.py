"""The engine: PL/pgSQL functions that walk compiled models over tuples. Migrations create them from the text here, in
`functions_of_checks`, `…_circles`, `…_conditions`, `…_lists` and `…_pages`.

Each exists twice: `…` reads stored tuples, `…_given` also those of the request (`given`, a JSON array of rows).

Answers are small numbers, so that they combine as Kleene's logic asks: 0 no, 1 yes, 2 no because the question hangs on
its own opposite, 4 a condition could not be evaluated, 5 too complex. `truth` says what each condition
came to, by `permission_condition_key`; a key that is missing is false, a `truth` of NULL takes every condition for
true.

A walk goes a level at a time: all hops of a frontier are one statement, so its cost grows with the depth and not with
the number of nodes. Arrays remember what was seen; each statement has one generic plan of index probes.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from django.db.migrations.operations.special import RunSQL

from accounts.permissions import functions_of_checks as checks
from accounts.permissions import functions_of_circles as circles
from accounts.permissions import functions_of_conditions as conditions
from accounts.permissions import functions_of_lists as lists
from accounts.permissions import functions_of_pages as pages

MAX_DEPTH: Final = 25  # tuples in a row from the question to the answer, as in OpenFGA (resolveNodeLimit)
FEW: Final = 128  # places that a check meets from the object before it tries from the subject

_STORED = "accounts_relationtuple"
# `OFFSET 0` keeps the rows of the request a subquery: only as such can they be read beside probes of the index for each
# row of a walk. Else every step reads the whole table.
GIVEN = """(
            SELECT store_id, object_type, object_id, relation, subject_type, subject_id, subject_relation, condition,
                context
            FROM accounts_relationtuple
            UNION ALL
            SELECT st, g.object_type, g.object_id, g.relation, g.subject_type, g.subject_id, g.subject_relation,
                g.condition, g.context
            FROM (
                SELECT * FROM jsonb_to_recordset(given) AS r(object_type text, object_id text, relation text,
                    subject_type text, subject_id text, subject_relation text, condition text, context jsonb)
                OFFSET 0
            ) g
        )"""

# The tables are those of `public`, whatever stands in the caller's path; and a statement is planned once, since a plan
# for the very values costs ten times what it could save.
_SETTINGS = "SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan"

_TRUTH = """CASE WHEN t.condition = '' OR truth IS NULL THEN 1
                ELSE COALESCE((truth ->> permission_condition_key(t.condition, t.context))::integer, 0) END"""

# What is asked about, as hops name what they lead to: `user`, `group#member`.
_KEY = "key text := s_type || CASE s_relation WHEN '' THEN '' ELSE '#' || s_relation END;"

# What can be reached from a node over tuples. `steps` counts them: a circle ends there too, at the latest.
_REACH = """
            SELECT start, start_object, depth
            UNION
            SELECT h.target, t.subject_id, r.steps + 1
            FROM reach r
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = r.node AND h.kind IN (2, 3)
                AND key = ANY(h.subjects)
            CROSS JOIN LATERAL (
                SELECT t.subject_id FROM {tuples} t
                WHERE t.store_id = st AND t.object_type = h.object_type AND t.object_id = r.object
                    AND t.relation = h.relation AND t.subject_type = h.subject_type
                    AND t.subject_relation = h.subject_relation AND t.condition = h.condition
                    AND t.subject_id <> '*' AND {truth} = 1
                OFFSET 0
            ) t
            WHERE r.steps <= {max_depth}
        """

# The operators of the same question, and after how many steps each is met.
_OPERATORS = """
        WITH RECURSIVE reach(node, object, steps) AS ({reach})
        SELECT h.target AS node, f.object, min(f.steps) AS steps
        FROM reach f
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 4 AND key = ANY(h.subjects)
        GROUP BY h.target, f.object
    """

_TEMPLATES: Final = (
    circles.CIRCLE, circles.KNOWN, circles.KNOWN_MEMBERS,
    checks.OPERATOR, checks.OPERATORS, checks.CHECK_BY_LEVEL, checks.CHECK_BACK, checks.CHECK_FAR, checks.CHECK,
    lists.WALK, lists.WALK_BACK, conditions.CONDITIONS, lists.LAYER, lists.COMBINED, lists.OBJECTS,
    lists.SUBJECTS, lists.COMBINED_MEMBERS, lists.MEMBERS, lists.SUBJECTS_BY_SETS,
    pages.LEFT_OVER, pages.PAGE_OF_OBJECTS, pages.PAGE_OF_SUBJECTS,
)  # fmt: skip

# With whatever arguments: those that changed would stay beside the new ones.
_DROP: Final = r"""
DO $$
DECLARE
    one regprocedure;
BEGIN
    FOR one IN
        SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname IN ({names})
    LOOP
        EXECUTE 'DROP FUNCTION ' || one;
    END LOOP;
END $$;
"""


def create(few: int = FEW) -> str:
    """Return the SQL that makes all functions of the engine, or makes them anew. `few`: see `FEW`."""
    parts = [conditions.CONDITION_KEY, circles.LEAST, circles.SOLVE]
    for suffix, tuples in (("", _STORED), ("_given", GIVEN)):
        common = {"tuples": tuples, "truth": _TRUTH, "max_depth": MAX_DEPTH, "few": few, "key": _KEY}
        reach = _REACH.format(**common)
        common |= {"suffix": suffix, "settings": _SETTINGS, "reach": reach, "operators": _OPERATORS.format(reach=reach)}
        parts += [template.format(**common) for template in _TEMPLATES]
    made = "\n".join(parts)
    return drop(made) + made


def drop(made: str) -> str:
    """Return the SQL that removes the functions that `made` makes."""
    names = sorted(set(re.findall(r"CREATE OR REPLACE FUNCTION (\w+)", made)))
    return _DROP.format(names=", ".join(f"'{name}'" for name in names))


def digest() -> str:
    """Return what changes with the functions' text. Each migration that makes them anew names the one of its day."""
    return hashlib.sha256(create().encode()).hexdigest()[:12]


class MakeEngine(RunSQL):
    """Make the engine's functions as they stand in this module. `of_day` is `digest()` when the migration was written:
    a test compares the newest with the module, so that no change of a function stays without a migration."""

    def __init__(self, of_day: str) -> None:
        self.of_day = of_day
        super().__init__(create(), drop(create()))

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.of_day], {}

    def describe(self) -> str:
        return f"Make the functions of the permission engine ({self.of_day})"
