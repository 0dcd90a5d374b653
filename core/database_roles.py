"""Two roles: the owner migrates, the product runs as one that cannot rewrite what is append-only."""

from __future__ import annotations

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

_TABLES = """
select c.relname, coalesce(parent.relname, c.relname)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_inherits i on i.inhrelid = c.oid
left join pg_class parent on parent.oid = i.inhparent
where n.nspname = current_schema() and c.relkind in ('r', 'p') and pg_has_role(c.relowner, 'member')
"""


def append_only_tables() -> set[str]:
    """Return the tables of which the product may only read and add rows."""
    return {model._meta.db_table for model in apps.get_models() if getattr(model, "is_append_only", False)}


def grant(connection: BaseDatabaseWrapper, role: str) -> None:
    """Give `role` what the product needs on all tables of the present schema, and take back whatever is more.

    `connection` is the owner's. Safe to repeat: one transaction.
    """
    written_once = append_only_tables() | {"django_migrations"}
    quote = connection.ops.quote_name
    to = quote(role)
    with connection.cursor() as cursor:
        cursor.execute("select current_schema()")
        (schema,) = cursor.fetchone()
        cursor.execute(_TABLES)
        tables = cursor.fetchall()
        statements = [f"grant usage on schema {quote(schema)} to {to}"]
        for table, parent in tables:
            rights = "select, insert" if parent in written_once else "select, insert, update, delete"
            statements += [f"revoke all on {quote(table)} from {to}", f"grant {rights} on {quote(table)} to {to}"]
        statements.append(f"grant usage, select on all sequences in schema {quote(schema)} to {to}")
        statements.append(f"grant execute on all functions in schema {quote(schema)} to {to}")
        cursor.execute("begin;" + ";".join(statements) + ";commit")
