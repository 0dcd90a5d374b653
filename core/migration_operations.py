"""What migrations need beyond Django's own operations: tables that only grow, and functions of the owner."""

from __future__ import annotations

from typing import Any

from django.db.migrations.operations.special import RunSQL

REFUSE = """
CREATE OR REPLACE FUNCTION core_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
END $$;
"""


def append_only_sql(table: str) -> str:
    """Return the SQL that makes `table` append-only. On a partitioned table the row trigger reaches all partitions;
    the statement trigger does not, so partitions need it for themselves."""
    return f"""
{REFUSE}
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON "{table}"
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON "{table}"
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
"""


class AppendOnlyTriggers(RunSQL):
    """Refuse UPDATE, DELETE and TRUNCATE on `table`, for the owner too; the refusal names the table."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(
            append_only_sql(table),
            f'DROP TRIGGER IF EXISTS {table}_append_only ON "{table}";'
            f'DROP TRIGGER IF EXISTS {table}_no_truncate ON "{table}";',
        )

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.table], {}

    def describe(self) -> str:
        return f"Make {self.table} append-only"


class OwnerFunction(RunSQL):
    """A function that runs with the rights of the owner (SECURITY DEFINER), so that the product may do one thing
    that its own role may not. Nobody may call it until granted; `migrate` grants the product's role.

    `signature` is "name(arg type, ...)", `returns` the result type, `body` PL/pgSQL between BEGIN and END (with an
    optional DECLARE in `declare`). The search path is pinned, so that nobody can put an object of theirs in between.
    """

    def __init__(self, signature: str, returns: str, body: str, declare: str = "", settings: str = "") -> None:
        self.arguments = (signature, returns, body, declare, settings)
        declaration = f"DECLARE {declare}" if declare else ""
        super().__init__(
            f"CREATE OR REPLACE FUNCTION {signature} RETURNS {returns} LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = public, pg_temp {settings} AS $owner$ {declaration} BEGIN {body} END $owner$;"
            f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;",
            f"DROP FUNCTION IF EXISTS {signature};",
        )

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, list(self.arguments), {}

    def describe(self) -> str:
        return f"Owner's function {self.arguments[0]}"


class PinSearchPath(RunSQL):
    """Let a trigger function find its tables in `public` only. Unpinned it looks where its caller does, and there the
    caller's temporary tables come first: one named like the ledger's legs would hide the real ones from the check."""

    def __init__(self, function: str) -> None:
        self.function = function
        super().__init__(
            f"ALTER FUNCTION {function} SET search_path = public, pg_temp;",
            f"ALTER FUNCTION {function} RESET search_path;",
        )

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.function], {}

    def describe(self) -> str:
        return f"Pin the search path of {self.function}"


__all__ = ["AppendOnlyTriggers", "OwnerFunction", "PinSearchPath", "append_only_sql"]
