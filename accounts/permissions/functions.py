"""The engine: PL/pgSQL functions that walk compiled models over tuples. Migrations create them from this text.

Each exists twice: `…` reads stored tuples, `…_given` also those of the request (`given`, a JSON array of rows).

Answers are small numbers, so that they combine as Kleene's logic asks: 0 no, 1 yes, 2 no because the question led back
to itself through a `but not`, 4 a condition could not be evaluated, 5 too complex. `truth` says what each condition
came to, by `permission_condition_key`; a key that is missing is false, a `truth` of NULL takes every condition for
true.

A walk goes a level at a time: all hops of a frontier are one statement, so its cost grows with the depth and not with
the number of nodes. Arrays remember what was seen; each statement has one generic plan of index probes.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from django.db.migrations.operations.special import RunSQL

MAX_DEPTH: Final = 25  # tuples in a row from the question to the answer, as in OpenFGA (resolveNodeLimit)

_STORED = "accounts_relationtuple"
GIVEN = """(
            SELECT store_id, object_type, object_id, relation, subject_type, subject_id, subject_relation, condition,
                context
            FROM accounts_relationtuple
            UNION ALL
            SELECT st, g.object_type, g.object_id, g.relation, g.subject_type, g.subject_id, g.subject_relation,
                g.condition, g.context
            FROM jsonb_to_recordset(given) AS g(object_type text, object_id text, relation text, subject_type text,
                subject_id text, subject_relation text, condition text, context jsonb)
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
            JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = r.object
                AND t.relation = h.relation AND t.subject_type = h.subject_type
                AND t.subject_relation = h.subject_relation AND t.condition = h.condition
            WHERE r.steps <= {max_depth} AND t.subject_id <> '*' AND {truth} = 1
        """

CONDITION_KEY: Final = """
CREATE OR REPLACE FUNCTION permission_condition_key(condition text, context jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN condition || ' ' || COALESCE(context::text, '');
"""

_CHECK = """
CREATE OR REPLACE FUNCTION permission_check{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, path text[], depth integer, has_operators boolean
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    found integer;
BEGIN
    IF truth @? '$.* ? (@ == 4)' THEN
        RETURN permission_check_by_level{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given,
            path, depth);
    END IF;
    SELECT answer.value INTO found FROM (
        WITH RECURSIVE reach(node, object, steps) AS ({reach})
        SELECT 1 AS value
        FROM reach f
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind IN (0, 1)
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = f.object
            AND t.relation = h.relation AND t.subject_type = h.subject_type
            AND t.subject_relation = h.subject_relation
            AND t.subject_id = CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END
            AND t.condition = h.condition
        WHERE f.steps <= {max_depth} AND {truth} = 1
        UNION ALL
        SELECT 1
        FROM reach f
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 5
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        WHERE s_relation <> '' AND f.object = s_id AND f.steps <= {max_depth}
        UNION ALL
        SELECT 5 FROM reach f WHERE f.steps > {max_depth}
    ) answer LIMIT 1;
    IF found = 1 THEN
        RETURN 1;
    ELSIF found = 5 THEN  -- a chain that is too long, or a circle: only the slow walk can tell
        RETURN permission_check_by_level{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given,
            path, depth);
    ELSIF NOT has_operators THEN
        RETURN 0;
    END IF;
    RETURN permission_operators{suffix}(st, m, start, start_object, s_type, s_id, s_relation, truth, given, path,
        depth);
END $engine$;
"""

_OPERATORS = """
CREATE OR REPLACE FUNCTION permission_operators{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, path text[], depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    one record;
    part integer;
    answer integer := 0;
BEGIN
    FOR one IN
        WITH RECURSIVE reach(node, object, steps) AS ({reach})
        SELECT h.target AS node, f.object, min(f.steps) AS steps
        FROM reach f
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 4
            AND key = ANY(h.subjects)
        GROUP BY h.target, f.object ORDER BY 3
    LOOP
        part := permission_operator{suffix}(st, m, one.node, one.object, s_type, s_id, s_relation, truth, given, path,
            one.steps);
        IF part = 1 THEN RETURN 1; END IF;
        answer := GREATEST(answer, part);
    END LOOP;
    RETURN answer;
END $engine$;
"""

# The same, a level at a time. It knows how far away a node is, and what could not be evaluated.
_CHECK_BY_LEVEL = """
CREATE OR REPLACE FUNCTION permission_check_by_level{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, path text[], depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    nodes integer[] := ARRAY[start];
    objects text[] := ARRAY[start_object];
    seen_nodes integer[] := nodes;
    seen_objects text[] := objects;
    waiting_nodes integer[] := '{{}}';
    waiting_objects text[] := '{{}}';
    waiting_depths integer[] := '{{}}';
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

        SELECT array_agg(h.target), array_agg(f.object) INTO found_nodes, found_objects
        FROM unnest(nodes, objects) AS f(node, object)
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 4
            AND key = ANY(h.subjects);
        IF found_nodes IS NOT NULL THEN
            waiting_nodes := waiting_nodes || found_nodes;
            waiting_objects := waiting_objects || found_objects;
            waiting_depths := waiting_depths || array_fill(depth, ARRAY[cardinality(found_nodes)]);
        END IF;

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
        IF depth > {max_depth} THEN
            answer := 5;
            EXIT;
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(waiting_nodes) LOOP
        best := permission_operator{suffix}(st, m, waiting_nodes[i], waiting_objects[i], s_type, s_id, s_relation,
            truth, given, path, waiting_depths[i]);
        IF best = 1 THEN RETURN 1; END IF;
        answer := GREATEST(answer, best);
    END LOOP;
    RETURN answer;
END $engine$;
"""

# `path` are the operators that are being answered, each with '-' behind it where what `but not` takes away is asked.
# An operator that leads back to itself adds nothing: that is a no. Through a `but not` it would be what it is not: then
# there is no right answer, and the question itself (2) answers no.
_OPERATOR = """
CREATE OR REPLACE FUNCTION permission_operator{suffix}(
    st bigint, m bigint, node integer, object text, s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, path text[], depth integer
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    key text := node || ' ' || object;
    sign text;
    parts integer[];
    nested boolean[];
    one integer;
    answer integer := 1;
BEGIN
    IF key = ANY(path) THEN
        RETURN CASE WHEN '-' = ANY(path[array_position(path, key) :]) THEN 2 ELSE 0 END;
    END IF;
    SELECT n.operator, n.operands, n.nested INTO sign, parts, nested
    FROM accounts_permissionnode n WHERE n.model_id = m AND n.number = node;
    FOR i IN 1 .. cardinality(parts) LOOP
        one := permission_check{suffix}(st, m, parts[i], object, s_type, s_id, s_relation, truth, given,
            CASE WHEN sign = '-' AND i = 2 THEN path || ARRAY[key, '-'] ELSE path || key END, depth, nested[i]);
        IF sign = '-' AND i = 2 THEN
            IF one IN (1, 2) THEN RETURN CASE one WHEN 1 THEN 0 ELSE 2 END; END IF;
        ELSIF one IN (0, 2) THEN
            RETURN one;
        END IF;
        IF one > 2 THEN answer := one; END IF;
    END LOOP;
    RETURN answer;
END $engine$;
"""

# Where a walk comes to. What lies behind an operator is not exact: check it. A condition without a value ends it.
_WALK = """
CREATE OR REPLACE FUNCTION permission_walk{suffix}(
    st bigint, m bigint, start integer, start_object text, key text, truth jsonb, given jsonb, depth integer,
    with_operands boolean
) RETURNS TABLE (node integer, object text, is_exact boolean) LANGUAGE plpgsql STABLE {settings} AS $engine$
#variable_conflict use_column
DECLARE
    nodes integer[] := ARRAY[start];
    objects text[] := ARRAY[start_object];
    exact boolean[] := ARRAY[true];
    seen_nodes integer[] := nodes;
    seen_objects text[] := objects;
    seen_exact boolean[] := exact;
    worst integer;
    step integer;  -- whether the level was reached over tuples; operators are no step
BEGIN
    LOOP
        SELECT array_agg(n.node), array_agg(n.object), array_agg(n.is_exact), max(n.value), max(n.step)
        INTO nodes, objects, exact, worst, step
        FROM (
            SELECT h.target AS node, t.subject_id AS object, f.is_exact, {truth} AS value, 1 AS step
            FROM unnest(nodes, objects, exact) AS f(node, object, is_exact)
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind IN (2, 3)
                AND key = ANY(h.subjects)
            JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = f.object
                AND t.relation = h.relation AND t.subject_type = h.subject_type
                AND t.subject_relation = h.subject_relation AND t.condition = h.condition
            WHERE t.subject_id <> '*' AND {truth} > 0
            UNION
            SELECT part.node, f.object, false, 1, 0
            FROM unnest(nodes, objects, exact) AS f(node, object, is_exact)
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = f.node AND h.kind = 4
                AND key = ANY(h.subjects)
            JOIN accounts_permissionnode o ON o.model_id = m AND o.number = h.target
            CROSS JOIN unnest(o.operands) WITH ORDINALITY AS part(node, place)
            WHERE with_operands AND (o.operator = '&' OR part.place = 1 OR truth IS NULL)
        ) n
        WHERE NOT EXISTS (
            SELECT FROM unnest(seen_nodes, seen_objects, seen_exact) AS s(node, object, is_exact)
            WHERE s.node = n.node AND s.object = n.object AND s.is_exact = n.is_exact
        );
        IF worst > 1 THEN RETURN QUERY SELECT -worst, NULL, true; RETURN; END IF;
        EXIT WHEN nodes IS NULL;
        seen_nodes := seen_nodes || nodes;
        seen_objects := seen_objects || objects;
        seen_exact := seen_exact || exact;
        depth := depth + step;
        IF depth > {max_depth} THEN RETURN QUERY SELECT -5, NULL, true; RETURN; END IF;
    END LOOP;
    RETURN QUERY SELECT s.node, s.object, s.is_exact
        FROM unnest(seen_nodes, seen_objects, seen_exact) AS s(node, object, is_exact);
END $engine$;
"""

# From where a subject is reached. What lies behind an operator or a condition without a value is not exact.
_WALK_BACK = """
CREATE OR REPLACE FUNCTION permission_walk_back{suffix}(
    st bigint, m bigint, relevant integer[], s_type text, s_id text, s_relation text, truth jsonb, given jsonb,
    seed_nodes integer[], seed_objects text[]
) RETURNS TABLE (node integer, object text, is_exact boolean) LANGUAGE plpgsql STABLE {settings} AS $engine$
#variable_conflict use_column
DECLARE
    nodes integer[];
    objects text[];
    exact boolean[];
    seen_nodes integer[];
    seen_objects text[];
    seen_exact boolean[];
BEGIN
    SELECT array_agg(n.node), array_agg(n.object), array_agg(n.value = 1)
    INTO nodes, objects, exact
    FROM (
        SELECT h.node, t.object_id AS object, {truth} AS value
        FROM accounts_permissionhop h
        JOIN {tuples} t ON t.store_id = st AND t.subject_type = h.subject_type
            AND t.subject_relation = h.subject_relation
            AND t.subject_id = CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END
            AND t.object_type = h.object_type AND t.relation = h.relation AND t.condition = h.condition
        WHERE h.model_id = m AND h.node = ANY(relevant) AND h.kind IN (0, 1)
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        UNION
        SELECT h.node, s_id, 1 FROM accounts_permissionhop h
        WHERE s_relation <> '' AND h.model_id = m AND h.node = ANY(relevant) AND h.kind = 5
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        UNION
        SELECT s.node, s.object, 1 FROM unnest(seed_nodes, seed_objects) AS s(node, object)
    ) n
    WHERE n.value > 0;
    seen_nodes := nodes;
    seen_objects := objects;
    seen_exact := exact;
    WHILE nodes IS NOT NULL LOOP
        SELECT array_agg(n.node), array_agg(n.object), array_agg(n.is_exact)
        INTO nodes, objects, exact
        FROM (
            SELECT h.node, t.object_id AS object, f.is_exact AND {truth} = 1 AS is_exact
            FROM unnest(nodes, objects, exact) AS f(node, object, is_exact)
            JOIN accounts_permissionhop h ON h.model_id = m AND h.target = f.node AND h.kind IN (2, 3)
                AND h.node = ANY(relevant)
            JOIN {tuples} t ON t.store_id = st AND t.subject_type = h.subject_type AND t.subject_id = f.object
                AND t.subject_relation = h.subject_relation AND t.object_type = h.object_type
                AND t.relation = h.relation AND t.condition = h.condition
            WHERE {truth} > 0
            UNION
            SELECT h.node, f.object, false
            FROM unnest(nodes, objects, exact) AS f(node, object, is_exact)
            JOIN accounts_permissionnode o ON o.model_id = m AND o.operator <> '' AND o.number = ANY(relevant)
                AND (o.operands[1] = f.node OR (truth IS NULL AND f.node = ANY(o.operands)))
            JOIN accounts_permissionhop h ON h.model_id = m AND h.target = o.number AND h.kind = 4
                AND h.node = ANY(relevant)
        ) n
        WHERE NOT EXISTS (
            SELECT FROM unnest(seen_nodes, seen_objects, seen_exact) AS s(node, object, is_exact)
            WHERE s.node = n.node AND s.object = n.object AND s.is_exact = n.is_exact
        );
        seen_nodes := seen_nodes || nodes;
        seen_objects := seen_objects || objects;
        seen_exact := seen_exact || exact;
    END LOOP;
    RETURN QUERY SELECT s.node, s.object, s.is_exact
        FROM unnest(seen_nodes, seen_objects, seen_exact) AS s(node, object, is_exact);
END $engine$;
"""

# What conditions a walk can meet, with the context stored beside each.
_CONDITIONS = """
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

# Objects by sets: those of a node are found from the subject back, those of an `and` or `but not` by combining what
# its operands found. It is for models in which no operator leads back to itself.
_LAYER = """
CREATE OR REPLACE FUNCTION permission_layer{suffix}(
    st bigint, m bigint, start integer, s_type text, s_id text, s_relation text, truth jsonb, given jsonb
) RETURNS SETOF text LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    near integer[];
    seed_nodes integer[] := '{{}}';
    seed_objects text[] := '{{}}';
    found text[];
    one record;
BEGIN
    SELECT n.region INTO near FROM accounts_permissionnode n WHERE n.model_id = m AND n.number = start;
    FOR one IN
        SELECT h.target, array_agg(h.node) AS nodes FROM accounts_permissionhop h
        WHERE h.model_id = m AND h.node = ANY(near) AND h.kind = 4 GROUP BY h.target
    LOOP
        found := permission_combined{suffix}(st, m, one.target, s_type, s_id, s_relation, truth, given);
        FOR i IN 1 .. cardinality(one.nodes) LOOP
            seed_nodes := seed_nodes || array_fill(one.nodes[i], ARRAY[cardinality(found)]);
            seed_objects := seed_objects || found;
        END LOOP;
    END LOOP;
    RETURN QUERY SELECT w.object
        FROM permission_walk_back{suffix}(st, m, near, s_type, s_id, s_relation, truth, given, seed_nodes,
            seed_objects) w
        WHERE w.node = start;
END $engine$;
"""

_COMBINED = """
CREATE OR REPLACE FUNCTION permission_combined{suffix}(
    st bigint, m bigint, node integer, s_type text, s_id text, s_relation text, truth jsonb, given jsonb
) RETURNS text[] LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    sign text;
    parts integer[];
    found text[];
BEGIN
    SELECT n.operator, n.operands INTO sign, parts
    FROM accounts_permissionnode n WHERE n.model_id = m AND n.number = node;
    FOR i IN 1 .. cardinality(parts) LOOP
        IF i = 1 THEN
            found := ARRAY(
                SELECT permission_layer{suffix}(st, m, parts[i], s_type, s_id, s_relation, truth, given));
        ELSIF sign = '&' THEN
            found := ARRAY(SELECT unnest(found) INTERSECT
                SELECT permission_layer{suffix}(st, m, parts[i], s_type, s_id, s_relation, truth, given));
        ELSE
            found := ARRAY(SELECT unnest(found) EXCEPT
                SELECT permission_layer{suffix}(st, m, parts[i], s_type, s_id, s_relation, truth, given));
        END IF;
        EXIT WHEN cardinality(found) = 0;
    END LOOP;
    RETURN found;
END $engine$;
"""

_OBJECTS = """
CREATE OR REPLACE FUNCTION permission_objects{suffix}(
    st bigint, m bigint, start integer, relevant integer[], s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, is_layered boolean
) RETURNS TABLE (object text, answer integer) LANGUAGE sql STABLE {settings} AS $engine$
    SELECT found.object, 1
    FROM permission_layer{suffix}(st, m, start, s_type, s_id, s_relation, truth, given) AS found(object)
    WHERE is_layered GROUP BY found.object
    UNION ALL
    SELECT w.object, CASE WHEN bool_or(w.is_exact) THEN 1 ELSE permission_check{suffix}(
        st, m, start, w.object, s_type, s_id, s_relation, truth, given, '{{}}', 0, true) END
    FROM permission_walk_back{suffix}(st, m, relevant, s_type, s_id, s_relation, truth, given, NULL, NULL) w
    WHERE NOT is_layered AND w.node = start GROUP BY w.object
    ORDER BY 1
$engine$;
"""

_SUBJECTS = """
CREATE OR REPLACE FUNCTION permission_subjects{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_relation text, truth jsonb, given jsonb
) RETURNS TABLE (subject text, answer integer) LANGUAGE sql STABLE {settings} AS $engine$
    WITH walked AS MATERIALIZED (
        SELECT * FROM permission_walk{suffix}(st, m, start, start_object,
            s_type || CASE s_relation WHEN '' THEN '' ELSE '#' || s_relation END, truth, given, 0, true)
    ), met AS (
        SELECT t.subject_id, w.is_exact, {truth} AS value
        FROM walked w
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind IN (0, 1)
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = w.object
            AND t.relation = h.relation AND t.subject_type = h.subject_type
            AND t.subject_relation = h.subject_relation AND t.condition = h.condition
            AND (t.subject_id = '*') = (h.kind = 1)
        WHERE {truth} > 0
        UNION ALL
        SELECT w.object, w.is_exact, 1
        FROM walked w
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind = 5
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        WHERE s_relation <> ''
    )
    SELECT met.subject_id, CASE
        WHEN bool_or(met.is_exact AND met.value = 1) THEN 1
        WHEN bool_or(NOT met.is_exact) THEN permission_check{suffix}(
            st, m, start, start_object, s_type, met.subject_id, s_relation, truth, given, '{{}}', 0, true)
        ELSE max(met.value) END
    FROM met GROUP BY met.subject_id
    UNION ALL
    SELECT NULL, -w.node FROM walked w WHERE w.node < 0
    ORDER BY 1
$engine$;
"""

# Subjects by sets: whom an `and` or `but not` leaves is combined from whom its operands have. `*` among the `ins` is
# everybody but the `outs`. NULL: too complex.
_MEMBERS = """
CREATE OR REPLACE FUNCTION permission_members{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_relation text, truth jsonb, given jsonb,
    OUT ins text[], OUT outs text[]
) LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    key text := s_type || CASE s_relation WHEN '' THEN '' ELSE '#' || s_relation END;
    nodes integer[];
    objects text[];
    one record;
    part record;
BEGIN
    SELECT array_agg(w.node), array_agg(w.object) INTO nodes, objects
    FROM permission_walk{suffix}(st, m, start, start_object, key, truth, given, 0, false) w;
    outs := '{{}}';
    IF nodes[1] < 0 THEN RETURN; END IF;
    ins := ARRAY(
        SELECT t.subject_id
        FROM unnest(nodes, objects) AS w(node, object)
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind IN (0, 1)
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = w.object
            AND t.relation = h.relation AND t.subject_type = h.subject_type
            AND t.subject_relation = h.subject_relation AND t.condition = h.condition
            AND (t.subject_id = '*') = (h.kind = 1)
        WHERE {truth} = 1
        UNION
        SELECT w.object
        FROM unnest(nodes, objects) AS w(node, object)
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind = 5
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        WHERE s_relation <> ''
    );
    FOR one IN
        SELECT DISTINCT h.target, w.object
        FROM unnest(nodes, objects) AS w(node, object)
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind = 4
            AND key = ANY(h.subjects)
    LOOP
        part := permission_combined_members{suffix}(st, m, one.target, one.object, s_type, s_relation, truth, given);
        IF part.ins IS NULL THEN ins := NULL; RETURN; END IF;
        IF '*' = ANY(part.ins) THEN
            outs := CASE WHEN '*' = ANY(ins)
                THEN ARRAY(SELECT unnest(outs) INTERSECT SELECT unnest(part.outs)) ELSE part.outs END;
        END IF;
        ins := ARRAY(SELECT unnest(ins) UNION SELECT unnest(part.ins));
    END LOOP;
    outs := ARRAY(SELECT unnest(outs) EXCEPT SELECT unnest(ins));
END $engine$;
"""

_COMBINED_MEMBERS = """
CREATE OR REPLACE FUNCTION permission_combined_members{suffix}(
    st bigint, m bigint, node integer, object text, s_type text, s_relation text, truth jsonb, given jsonb,
    OUT ins text[], OUT outs text[]
) LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    sign text;
    parts integer[];
    other record;
    is_everybody boolean;  -- here
    is_other_everybody boolean;
BEGIN
    SELECT n.operator, n.operands INTO sign, parts
    FROM accounts_permissionnode n WHERE n.model_id = m AND n.number = node;
    SELECT f.ins, f.outs INTO ins, outs
    FROM permission_members{suffix}(st, m, parts[1], object, s_type, s_relation, truth, given) f;
    FOR i IN 2 .. cardinality(parts) LOOP
        IF cardinality(ins) = 0 OR ins IS NULL THEN RETURN; END IF;
        other := permission_members{suffix}(st, m, parts[i], object, s_type, s_relation, truth, given);
        IF other.ins IS NULL THEN ins := NULL; RETURN; END IF;
        is_everybody := '*' = ANY(ins);
        is_other_everybody := '*' = ANY(other.ins);
        IF sign = '&' THEN
            ins := ARRAY(
                SELECT unnest(ins) INTERSECT SELECT unnest(other.ins)
                UNION (SELECT a.id FROM unnest(ins) AS a(id) WHERE is_other_everybody AND a.id <> '*'
                    EXCEPT SELECT unnest(other.outs))
                UNION (SELECT b.id FROM unnest(other.ins) AS b(id) WHERE is_everybody AND b.id <> '*'
                    EXCEPT SELECT unnest(outs))
            );
            outs := ARRAY(SELECT unnest(outs) UNION SELECT unnest(other.outs) EXCEPT SELECT unnest(ins));
        ELSIF is_other_everybody THEN  -- left are those whom the everybody that is taken away does not hold
            ins := ARRAY(
                SELECT o.id FROM unnest(other.outs) AS o(id)
                WHERE o.id = ANY(ins) OR (is_everybody AND o.id <> ALL(outs))
            );
            outs := '{{}}';
        ELSE
            outs := ARRAY(SELECT unnest(outs) UNION SELECT unnest(other.ins) WHERE is_everybody);
            ins := ARRAY(SELECT unnest(ins) EXCEPT SELECT unnest(other.ins));
        END IF;
    END LOOP;
END $engine$;
"""

_SUBJECTS_BY_SETS = """
CREATE OR REPLACE FUNCTION permission_subjects_by_sets{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_relation text, truth jsonb, given jsonb
) RETURNS TABLE (subject text, answer integer) LANGUAGE sql STABLE {settings} AS $engine$
    WITH found AS MATERIALIZED (
        SELECT * FROM permission_members{suffix}(st, m, start, start_object, s_type, s_relation, truth, given)
    )
    SELECT unnest(found.ins), 1 FROM found
    UNION ALL
    SELECT NULL, 5 FROM found WHERE found.ins IS NULL
    ORDER BY 1
$engine$;
"""

_TEMPLATES: Final = (
    _OPERATOR, _OPERATORS, _CHECK_BY_LEVEL, _CHECK, _WALK, _WALK_BACK, _CONDITIONS, _LAYER, _COMBINED,
    _OBJECTS, _SUBJECTS, _COMBINED_MEMBERS, _MEMBERS, _SUBJECTS_BY_SETS,
)  # fmt: skip

_SIGNATURES: Final = (
    ("permission_subjects_by_sets", "bigint, bigint, integer, text, text, text, jsonb, jsonb"),
    ("permission_members", "bigint, bigint, integer, text, text, text, jsonb, jsonb"),
    ("permission_combined_members", "bigint, bigint, integer, text, text, text, jsonb, jsonb"),
    ("permission_subjects", "bigint, bigint, integer, text, text, text, jsonb, jsonb"),
    ("permission_objects", "bigint, bigint, integer, integer[], text, text, text, jsonb, jsonb, boolean"),
    ("permission_layer", "bigint, bigint, integer, text, text, text, jsonb, jsonb"),
    ("permission_combined", "bigint, bigint, integer, text, text, text, jsonb, jsonb"),
    ("permission_conditions_back", "bigint, bigint, integer[], text, text, text, jsonb"),
    ("permission_conditions", "bigint, bigint, integer, text, text, jsonb"),
    ("permission_walk_back", "bigint, bigint, integer[], text, text, text, jsonb, jsonb, integer[], text[]"),
    ("permission_walk", "bigint, bigint, integer, text, text, jsonb, jsonb, integer, boolean"),
    ("permission_operator", "bigint, bigint, integer, text, text, text, text, jsonb, jsonb, text[], integer"),
    ("permission_operators", "bigint, bigint, integer, text, text, text, text, jsonb, jsonb, text[], integer"),
    ("permission_check_by_level", "bigint, bigint, integer, text, text, text, text, jsonb, jsonb, text[], integer"),
    ("permission_check", "bigint, bigint, integer, text, text, text, text, jsonb, jsonb, text[], integer, boolean"),
)


def create() -> str:
    """Return the SQL that makes all functions of the engine, or makes them anew."""
    parts = [CONDITION_KEY]
    for suffix, tuples in (("", _STORED), ("_given", GIVEN)):
        common = {"tuples": tuples, "truth": _TRUTH, "max_depth": MAX_DEPTH, "key": _KEY}
        reach = _REACH.format(**common)
        parts += [template.format(suffix=suffix, settings=_SETTINGS, reach=reach, **common) for template in _TEMPLATES]
    return "\n".join(parts)


def drop() -> str:
    """Return the SQL that removes them."""
    names = [f"{name}{suffix}({types})" for name, types in _SIGNATURES for suffix in ("", "_given")]
    return "\n".join(f"DROP FUNCTION IF EXISTS {name};" for name in [*names, "permission_condition_key(text, jsonb)"])


def digest() -> str:
    """Return what changes with the functions' text. Each migration that makes them anew names the one of its day."""
    return hashlib.sha256(create().encode()).hexdigest()[:12]


class MakeEngine(RunSQL):
    """Make the engine's functions as they stand in this module. `of_day` is `digest()` when the migration was written:
    a test compares the newest with the module, so that no change of a function stays without a migration."""

    def __init__(self, of_day: str) -> None:
        self.of_day = of_day
        super().__init__(create(), drop())

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return self.__class__.__name__, [self.of_day], {}

    def describe(self) -> str:
        return f"Make the functions of the permission engine ({self.of_day})"
