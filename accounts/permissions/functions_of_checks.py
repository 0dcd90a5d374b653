"""The functions that check: a walk from the object to the subject (see `functions`, which fills in the braces)."""

from __future__ import annotations

# Whether the subject stands in a tuple of a place that the object leads to: 1; 5 when a chain is too long, 6 when there
# are more than `many` places. A probe is `LIMIT 1` of a subquery: joined, it may be planned as a read of all that the
# subject has. `many` as a number lets the planner know how few they are.
_FORWARD = """
        SELECT answer.value INTO found FROM (
            WITH RECURSIVE reach(node, object, steps) AS ({{reach}})
            SELECT 1 AS value
            FROM (SELECT * FROM reach LIMIT {many}) f
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind IN (0, 1)
                AND h.subject_type = s_type AND h.subject_relation = s_relation
            CROSS JOIN LATERAL (
                SELECT FROM {{tuples}} t
                WHERE t.store_id = st AND t.object_type = h.object_type AND t.object_id = f.object
                    AND t.relation = h.relation AND t.subject_type = h.subject_type
                    AND t.subject_relation = h.subject_relation
                    AND t.subject_id = CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END
                    AND t.condition = h.condition AND {{truth}} = 1
                LIMIT 1
            ) probe
            WHERE f.steps <= {{max_depth}}
            UNION ALL
            SELECT 1
            FROM (SELECT * FROM reach LIMIT {many}) f
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 5
                AND h.subject_type = s_type AND h.subject_relation = s_relation
            WHERE s_relation <> '' AND f.object = s_id AND f.steps <= {{max_depth}}
            UNION ALL
            SELECT 6 FROM (SELECT FROM reach OFFSET {many} LIMIT 1) further
            UNION ALL
            SELECT 5 FROM reach f WHERE f.steps > {{max_depth}}
        ) answer LIMIT 1;
"""

CHECK = (
    """
CREATE OR REPLACE FUNCTION permission_check{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, depth integer, has_operators boolean
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    found integer;
    part integer;
BEGIN
    IF truth @? '$.* ? (@ == 4)' THEN
        found := 5;  -- only the slow walk knows of what has no value
    ELSE
"""
    + _FORWARD.format(many="{few}")
    + """
    END IF;
    IF found = 6 THEN
        found := permission_check_far{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given,
            depth);
    END IF;
    IF found = 5 THEN  -- also: a chain that is too long, or a circle
        found := permission_check_by_level{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given,
            depth);
    END IF;
    found := COALESCE(found, 0);
    IF found = 1 OR NOT has_operators THEN
        RETURN found;
    END IF;
    part := permission_operators{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given, depth);
    RETURN CASE WHEN part = 1 THEN 1 ELSE GREATEST(found, part) END;
END $engine$;
"""
)

# From the subject until `many` places are met, then from the object eight times as far, and so on. So a check costs
# what the shorter walk does, whether an object is shared with thousands of groups or a person is in thousands.
CHECK_FAR = (
    """
CREATE OR REPLACE FUNCTION permission_check_far{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    many integer := {few};
    found integer;
BEGIN
    LOOP
        found := permission_check_back{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given,
            depth, many);
        EXIT WHEN found IS NOT NULL;
        many := CASE WHEN many < 10000 THEN many * 8 ELSE 2147483647 END;
"""
    + _FORWARD.format(many="many")
    + """
        EXIT WHEN found IS DISTINCT FROM 6;
    END LOOP;
    RETURN found;
END $engine$;
"""
)

# The same from the subject: whether a tuple of the object leads to a place from which the subject is reached. What the
# object's own tuples name was asked already. NULL: more than `many` places, or too many steps.
CHECK_BACK = """
CREATE OR REPLACE FUNCTION permission_check_back{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, depth integer, many integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    between integer[];
    found integer;
BEGIN
    SELECT array_agg(DISTINCT h.target) INTO between
    FROM accounts_permissionnode n
    JOIN accounts_permissionhop h ON h.model_id = m AND h.node = ANY(n.region) AND h.kind IN (2, 3)
        AND key = ANY(h.subjects)
    WHERE n.model_id = m AND n.number = start;
    SELECT answer.value INTO found FROM (
        WITH RECURSIVE reach(node, object, steps) AS (
            SELECT s.node, s.object, 1
            FROM (
                SELECT h.node, t.object_id AS object
                FROM accounts_permissionhop h
                JOIN {tuples} t ON t.store_id = st AND t.subject_type = h.subject_type
                    AND t.subject_relation = h.subject_relation
                    AND t.subject_id = CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END
                    AND t.object_type = h.object_type AND t.relation = h.relation AND t.condition = h.condition
                WHERE h.model_id = m AND h.node = ANY(between) AND h.kind IN (0, 1)
                    AND h.subject_type = s_type AND h.subject_relation = s_relation AND {truth} = 1
                UNION ALL
                SELECT h.node, s_id
                FROM accounts_permissionhop h
                WHERE s_relation <> '' AND h.model_id = m AND h.node = ANY(between) AND h.kind = 5
                    AND h.subject_type = s_type AND h.subject_relation = s_relation
            ) s
            UNION
            SELECT h.node, t.object_id, r.steps + 1
            FROM reach r
            JOIN accounts_permissionhop h ON h.model_id = m AND h.target = r.node AND h.kind IN (2, 3)
                AND h.node = ANY(between)
            JOIN {tuples} t ON t.store_id = st AND t.subject_type = h.subject_type AND t.subject_id = r.object
                AND t.subject_relation = h.subject_relation AND t.object_type = h.object_type
                AND t.relation = h.relation AND t.condition = h.condition
            WHERE depth + r.steps <= {max_depth} AND {truth} = 1
        )
        SELECT 1 AS value
        FROM (SELECT * FROM reach LIMIT many) f
        JOIN accounts_permissionhop h ON h.model_id = m AND h.target = f.node AND h.kind IN (2, 3) AND h.node = start
        CROSS JOIN LATERAL (
            SELECT FROM {tuples} t
            WHERE t.store_id = st AND t.object_type = h.object_type AND t.object_id = start_object
                AND t.relation = h.relation AND t.subject_type = h.subject_type AND t.subject_id = f.object
                AND t.subject_relation = h.subject_relation AND t.condition = h.condition AND {truth} = 1
            LIMIT 1
        ) probe
        WHERE depth + f.steps <= {max_depth}
        UNION ALL
        SELECT 6 FROM (SELECT FROM reach OFFSET many LIMIT 1) further
        UNION ALL
        SELECT 5 FROM (SELECT * FROM reach LIMIT many) f WHERE depth + f.steps > {max_depth}
    ) answer LIMIT 1;
    RETURN CASE COALESCE(found, 0) WHEN 1 THEN 1 WHEN 0 THEN 0 END;
END $engine$;
"""

# Operators that can lead back to themselves are answered together: see `functions_of_circles`.
OPERATORS = """
CREATE OR REPLACE FUNCTION permission_operators{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    nodes integer[];
    objects text[];
    depths integer[];
    is_layered boolean;
    part integer;
    answer integer := 0;
BEGIN
    SELECT array_agg(o.node), array_agg(o.object), array_agg(o.steps), bool_and(o.is_layered)
    INTO nodes, objects, depths, is_layered
    FROM (
        SELECT o.*, n.is_layered
        FROM ({operators}) o
        JOIN accounts_permissionnode n ON n.model_id = m AND n.number = o.node ORDER BY o.steps
    ) o;
    IF NOT is_layered THEN
        RETURN permission_circle{suffix}(st, m, s_type, s_id, s_relation, truth, given, nodes, objects, depths);
    END IF;
    FOR i IN 1 .. COALESCE(cardinality(nodes), 0) LOOP
        part := permission_operator{suffix}(st, m, nodes[i], objects[i], s_type, s_id, s_relation, truth, given,
            depths[i]);
        IF part = 1 THEN RETURN 1; END IF;
        answer := GREATEST(answer, part);
    END LOOP;
    RETURN answer;
END $engine$;
"""

# What CHECK asks first, a level at a time. It knows how far away a node is, and what could not be evaluated.
CHECK_BY_LEVEL = """
CREATE OR REPLACE FUNCTION permission_check_by_level{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    nodes integer[] := ARRAY[start];
    objects text[] := ARRAY[start_object];
    seen_nodes integer[] := nodes;
    seen_objects text[] := objects;
    found_nodes integer[];
    found_objects text[];
    best integer;
    answer integer := 0;
BEGIN
    LOOP
        SELECT CASE WHEN bool_or(found.value = 1) THEN 1 ELSE max(found.value) END INTO best
        FROM (
            SELECT {truth} AS value
            FROM unnest(nodes, objects) AS f(node, object)
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind IN (0, 1)
                AND h.subject_type = s_type AND h.subject_relation = s_relation
            JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = f.object
                AND t.relation = h.relation AND t.subject_type = h.subject_type
                AND t.subject_relation = h.subject_relation
                AND t.subject_id = CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END
                AND t.condition = h.condition
        ) found;
        IF best = 1 THEN RETURN 1; END IF;
        answer := GREATEST(answer, best);
        IF s_relation <> '' AND EXISTS (
            SELECT FROM unnest(nodes, objects) AS f(node, object)
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 5
                AND h.subject_type = s_type AND h.subject_relation = s_relation
            WHERE f.object = s_id
        ) THEN RETURN 1; END IF;

        SELECT array_agg(n.target) FILTER (WHERE n.value = 1), array_agg(n.object) FILTER (WHERE n.value = 1),
            max(n.value)
        INTO found_nodes, found_objects, best
        FROM (
            SELECT DISTINCT h.target, t.subject_id AS object, {truth} AS value
            FROM unnest(nodes, objects) AS f(node, object)
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind IN (2, 3)
                AND key = ANY(h.subjects)
            JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = f.object
                AND t.relation = h.relation AND t.subject_type = h.subject_type
                AND t.subject_relation = h.subject_relation AND t.condition = h.condition
            WHERE t.subject_id <> '*'
        ) n
        WHERE n.value > 0 AND NOT EXISTS (
            SELECT FROM unnest(seen_nodes, seen_objects) AS s(node, object)
            WHERE s.node = n.target AND s.object = n.object
        );
        IF best > 1 THEN answer := GREATEST(answer, best); END IF;
        EXIT WHEN found_nodes IS NULL;
        nodes := found_nodes;
        objects := found_objects;
        seen_nodes := seen_nodes || nodes;
        seen_objects := seen_objects || objects;
        depth := depth + 1;
        IF depth > {max_depth} THEN RETURN 5; END IF;
    END LOOP;
    RETURN answer;
END $engine$;
"""

OPERATOR = """
CREATE OR REPLACE FUNCTION permission_operator{suffix}(
    st bigint, m bigint, node integer, object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    sign text;
    parts integer[];
    nested boolean[];
    one integer;
    answer integer := 1;
BEGIN
    SELECT n.operator, n.operands, n.nested INTO sign, parts, nested
    FROM accounts_permissionnode n WHERE n.model_id = m AND n.number = node;
    FOR i IN 1 .. cardinality(parts) LOOP
        one := permission_check{suffix}(st, m, parts[i], object, s_type, s_id, s_relation, truth, given, depth,
            nested[i]);
        IF sign = '-' AND i = 2 THEN one := CASE one WHEN 1 THEN 0 WHEN 0 THEN 1 ELSE one END; END IF;
        IF one = 0 THEN RETURN 0; END IF;  -- whatever the others are
        IF one > 1 THEN answer := one; END IF;
    END LOOP;
    RETURN answer;
END $engine$;
"""
