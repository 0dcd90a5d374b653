"""The functions that tell which conditions can be met (see `functions`, which fills the braces)."""

from __future__ import annotations

from typing import Final

CONDITION_KEY: Final = """
CREATE OR REPLACE FUNCTION permission_condition_key(condition text, context jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN condition || ' ' || COALESCE(context::text, '');
"""

# What conditions a walk can meet, with the context stored beside each.
CONDITIONS = """
CREATE OR REPLACE FUNCTION permission_conditions{suffix}(
    st bigint, m bigint, start integer, start_object text, key text, given jsonb
) RETURNS TABLE (condition_key text, condition text, context jsonb) LANGUAGE sql STABLE {settings} AS $engine$
    SELECT DISTINCT permission_condition_key(t.condition, t.context), t.condition, t.context
    FROM permission_walk{suffix}(st, m, start, start_object, key, NULL, given, -1000, true) w
    JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind < 4 AND h.condition <> ''
        AND key = ANY(h.subjects)
    JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = w.object
        AND t.relation = h.relation AND t.subject_type = h.subject_type
        AND t.subject_relation = h.subject_relation AND t.condition = h.condition
$engine$;

CREATE OR REPLACE FUNCTION permission_conditions_back{suffix}(
    st bigint, m bigint, relevant integer[], s_type text, s_id text, s_relation text, given jsonb
) RETURNS TABLE (condition_key text, condition text, context jsonb) LANGUAGE sql STABLE {settings} AS $engine$
    SELECT DISTINCT permission_condition_key(t.condition, t.context), t.condition, t.context
    FROM accounts_permissionhop h
    JOIN {tuples} t ON t.store_id = st AND t.subject_type = h.subject_type AND t.subject_id IN (s_id, '*')
        AND t.subject_relation = h.subject_relation AND t.object_type = h.object_type
        AND t.relation = h.relation AND t.condition = h.condition
    WHERE h.model_id = m AND h.node = ANY(relevant) AND h.kind < 2 AND h.condition <> ''
        AND h.subject_type = s_type AND h.subject_relation = s_relation
    UNION
    SELECT permission_condition_key(t.condition, t.context), t.condition, t.context
    FROM permission_walk_back{suffix}(st, m, relevant, s_type, s_id, s_relation, NULL, given, NULL, NULL) w
    JOIN accounts_permissionhop h ON h.model_id = m AND h.target = w.node AND h.kind IN (2, 3) AND h.condition <> ''
        AND h.node = ANY(relevant)
    JOIN {tuples} t ON t.store_id = st AND t.subject_type = h.subject_type AND t.subject_id = w.object
        AND t.subject_relation = h.subject_relation AND t.object_type = h.object_type
        AND t.relation = h.relation AND t.condition = h.condition
$engine$;
"""
