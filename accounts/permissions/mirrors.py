"""Tuples that follow rows: what a row gives (a role, a scope, a place in a team) is a tuple as long as the row says so.

Triggers keep them, in the transaction of the row, whatever writes it: there is no moment at which a row says one thing
and its tuple another. Each mirrored table has a function that says which relations a row of it stands for. By hand an
administrator may write such a tuple where no row says it; one that a row says is deleted by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import connection
from django.db.migrations.operations.special import RunSQL
from django.db.models.signals import post_delete, post_save

from accounts.permissions import revision
from accounts.permissions.tuples import KEY, Key, Tuple

_COLUMNS: Final = "object_type, object_id, relation, subject_type, subject_id, subject_relation"


@dataclass(frozen=True, slots=True)
class Mirror:
    """The relations of a row `one` of a table, as a SELECT of six columns; `columns` are those on which they hang."""

    table: str
    columns: str
    relations: str


MIRRORS: Final = (
    Mirror(
        "accounts_membership",
        "role, user_id, organization_id",
        "SELECT 'organization', one.organization_id, one.role, 'user', one.user_id, ''",
    ),
    Mirror(
        "accounts_apikey",
        "scopes, revoked_at",
        """SELECT 'organization', one.organization_id, regexp_replace(s, '\\.\\*$', '.any'), 'api_key', one.id, ''
        FROM unnest(one.scopes || 'insider'::varchar) AS s WHERE one.revoked_at IS NULL""",
    ),
    Mirror(
        "accounts_serviceaccount",
        "role, deactivated_at",
        """SELECT 'organization', one.organization_id, one.role, 'service_account', one.id, ''
        WHERE one.role <> '' AND one.deactivated_at IS NULL""",
    ),
    Mirror(
        "accounts_teammember",
        "team_id, user_id, service_account_id",
        """SELECT 'team', one.team_id, 'member', CASE WHEN one.user_id IS NULL THEN 'service_account' ELSE 'user' END,
            COALESCE(one.user_id, one.service_account_id), ''""",
    ),
    Mirror(
        "accounts_customrole",
        "organization_id, permissions",
        """SELECT 'organization', one.organization_id, p, 'role', one.id, 'assignee'
        FROM unnest(one.permissions) AS p""",
    ),
    Mirror(
        "accounts_roleassignment",
        "role_id, user_id, team_id, service_account_id",
        """SELECT 'role', one.role_id, 'assignee', r.type, r.id, r.relation
        FROM permission_recipient(one.user_id, one.team_id, one.service_account_id) r""",
    ),
    Mirror(
        "accounts_share",
        "object_type, object_id, user_id, team_id, service_account_id",
        """SELECT one.object_type, one.object_id, 'viewer', r.type, r.id, r.relation
        FROM permission_recipient(one.user_id, one.team_id, one.service_account_id) r""",
    ),
)

_GROUND: Final = f"""
CREATE OR REPLACE FUNCTION permission_recipient(person uuid, team uuid, program uuid)
RETURNS TABLE (type text, id uuid, relation text) LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $mirror$
    SELECT 'user', person, '' WHERE person IS NOT NULL
    UNION ALL SELECT 'team', team, 'member' WHERE team IS NOT NULL
    UNION ALL SELECT 'service_account', program, '' WHERE program IS NOT NULL
$mirror$;

-- Writes or deletes one tuple of the product's store, and says so in the change log when it was not so already.
CREATE OR REPLACE FUNCTION permission_follow(
    what text, o_type text, o_id text, rel text, s_type text, s_id text, s_relation text
) RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $mirror$
DECLARE
    st bigint;
    happened integer;
BEGIN
    SELECT s.id INTO st FROM accounts_permissionstore s WHERE s.name = 'countinghouse';
    IF what = 'write' THEN
        INSERT INTO accounts_relationtuple (store_id, {_COLUMNS}, condition, created_at)
        VALUES (st, o_type, o_id, rel, s_type, s_id, s_relation, '', clock_timestamp()) ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM accounts_relationtuple t
        WHERE t.store_id = st AND t.object_type = o_type AND t.object_id = o_id AND t.relation = rel
            AND t.subject_type = s_type AND t.subject_id = s_id AND t.subject_relation = s_relation;
    END IF;
    GET DIAGNOSTICS happened = ROW_COUNT;
    IF happened > 0 THEN
        INSERT INTO accounts_relationchange (store_id, operation, {_COLUMNS}, condition, created_at)
        VALUES (st, what, o_type, o_id, rel, s_type, s_id, s_relation, '', clock_timestamp());
    END IF;
END $mirror$;

-- Deletes what the row stood for and writes what it stands for, where the two differ. Its text is put together, since a
-- statement that is planned once for a row's type cannot serve several tables.
CREATE OR REPLACE FUNCTION permission_mirror() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $mirror$
DECLARE
    relations text := format('SELECT * FROM %I($1)', TG_TABLE_NAME || '_relations');
    follow text := 'SELECT permission_follow(%L, {_COLUMNS}) FROM (%s) r';
BEGIN
    IF TG_OP = 'INSERT' THEN
        EXECUTE format(follow, 'write', relations) USING NEW;
    ELSIF TG_OP = 'DELETE' THEN
        EXECUTE format(follow, 'delete', relations) USING OLD;
    ELSE
        EXECUTE format(follow, 'delete', relations || ' EXCEPT ' || replace(relations, '$1', '$2')) USING OLD, NEW;
        EXECUTE format(follow, 'write', relations || ' EXCEPT ' || replace(relations, '$1', '$2')) USING NEW, OLD;
    END IF;
    RETURN NULL;
END $mirror$;
"""  # noqa: S608 - our own columns

_ONE: Final = """
CREATE OR REPLACE FUNCTION {table}_relations(one {table}) RETURNS TABLE (
    object_type text, object_id text, relation text, subject_type text, subject_id text, subject_relation text
) LANGUAGE sql STABLE SET search_path = public, pg_temp AS $mirror$ {relations} $mirror$;
CREATE OR REPLACE TRIGGER {table}_relates AFTER INSERT OR DELETE OR UPDATE OF {columns} ON {table}
    FOR EACH ROW EXECUTE FUNCTION permission_mirror();
SELECT permission_follow('write', {asked}) FROM {table} one, {table}_relations(one) r;
"""

_SAID: Final = f"""
SELECT {", ".join(f"r.{name}" for name in KEY)} FROM {{table}} one, {{table}}_relations(one) r
WHERE ({", ".join(f"r.{name}" for name in KEY)}) IN (SELECT * FROM unnest({", ".join(["%s::text[]"] * len(KEY))}))
"""  # noqa: S608 - our own columns

_DROP_ONE: Final = """
DROP TRIGGER IF EXISTS {table}_relates ON {table};
DROP FUNCTION IF EXISTS {table}_relations({table});
"""

_STORE: Final = """
INSERT INTO accounts_permissionstore (name, created_at) VALUES ('countinghouse', clock_timestamp())
    ON CONFLICT DO NOTHING;
"""

_DROP_GROUND: Final = """
DROP FUNCTION IF EXISTS permission_mirror();
DROP FUNCTION IF EXISTS permission_follow(text, text, text, text, text, text, text);
DROP FUNCTION IF EXISTS permission_recipient(uuid, uuid, uuid);
"""


def said(asked: Sequence[Tuple]) -> set[Key]:
    """Return which of some tuples rows say now. A query for each mirrored table, over all of it: for what is changed by
    hand."""
    columns = [list(column) for column in zip(*(one.key for one in asked), strict=True)]
    found: set[Key] = set()
    with connection.cursor() as cursor:
        for mirror in MIRRORS if asked else ():
            cursor.execute(_SAID.format(table=mirror.table), columns)
            found.update(cursor.fetchall())
    return found


def watch() -> None:
    """Let this process know at once when a mirrored row is saved or deleted. What it does not see (raw SQL, updates of
    many rows) it learns as other processes do."""
    tables = {mirror.table for mirror in MIRRORS}
    for model in apps.get_models():
        if model._meta.db_table in tables:
            post_save.connect(_written, sender=model, dispatch_uid="permission mirrors")
            post_delete.connect(_written, sender=model, dispatch_uid="permission mirrors")


def _written(**_: Any) -> None:
    revision.written()


def create() -> str:
    """Return the SQL that makes the mirrors, and the tuples of the rows that stand already."""
    return "\n".join([_GROUND, _STORE, *(_ONE.format(**_words(mirror)) for mirror in MIRRORS)])


def drop() -> str:
    """Return the SQL that removes the mirrors; the tuples stay."""
    return "\n".join([*(_DROP_ONE.format(**_words(mirror)) for mirror in MIRRORS), _DROP_GROUND])


class MakeMirrors(RunSQL):
    """Make the mirrors as they stand in this module, and fill in what they had kept so far."""

    def __init__(self) -> None:
        super().__init__(create(), drop())


def _words(mirror: Mirror) -> dict[str, str]:
    asked = ", ".join(f"r.{name}" for name in _COLUMNS.split(", "))
    return {"table": mirror.table, "columns": mirror.columns, "relations": mirror.relations, "asked": asked}
