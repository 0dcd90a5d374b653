"""The functions that list: walks from either end, sets that are combined (see `functions`, which fills the braces)."""

from __future__ import annotations

# Where a walk comes to. What lies behind an operator is not exact: check it. A condition without a value ends it.
WALK = """
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
WALK_BACK = """
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

# Objects by sets: those of a node are found from the subject back, those of an `and` or `but not` by combining what
# its operands found. Operators that lead back to themselves are among `known`, with the objects found so far.
LAYER = """
CREATE OR REPLACE FUNCTION permission_layer{suffix}(
    st bigint, m bigint, start integer, s_type text, s_id text, s_relation text, truth jsonb, given jsonb,
    known jsonb
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
        IF known ? one.target::text THEN
            found := ARRAY(SELECT jsonb_array_elements_text(known -> one.target::text));
        ELSE
            found := permission_combined{suffix}(st, m, one.target, s_type, s_id, s_relation, truth, given, known);
        END IF;
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

COMBINED = """
CREATE OR REPLACE FUNCTION permission_combined{suffix}(
    st bigint, m bigint, node integer, s_type text, s_id text, s_relation text, truth jsonb, given jsonb, known jsonb
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
                SELECT permission_layer{suffix}(st, m, parts[i], s_type, s_id, s_relation, truth, given, known));
        ELSIF sign = '&' THEN
            found := ARRAY(SELECT unnest(found) INTERSECT
                SELECT permission_layer{suffix}(st, m, parts[i], s_type, s_id, s_relation, truth, given, known));
        ELSE
            found := ARRAY(SELECT unnest(found) EXCEPT
                SELECT permission_layer{suffix}(st, m, parts[i], s_type, s_id, s_relation, truth, given, known));
        END IF;
        EXIT WHEN cardinality(found) = 0;
    END LOOP;
    RETURN found;
END $engine$;
"""

# Of several relations at once: each start is answered for, with its node. By sets where `circles` is given.
OBJECTS = """
CREATE OR REPLACE FUNCTION permission_objects{suffix}(
    st bigint, m bigint, starts integer[], relevant integer[], s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb, circles jsonb
) RETURNS TABLE (node integer, object text, answer integer) LANGUAGE sql STABLE {settings} AS $engine$
    SELECT s.node, found.object, 1
    FROM permission_known{suffix}(st, m, circles, s_type, s_id, s_relation, truth, given) AS k(known)
    CROSS JOIN unnest(starts) AS s(node)
    CROSS JOIN LATERAL permission_layer{suffix}(
        st, m, s.node, s_type, s_id, s_relation, truth, given, k.known
    ) AS found(object)
    WHERE circles IS NOT NULL GROUP BY s.node, found.object
    UNION ALL
    SELECT w.node, w.object, CASE WHEN bool_or(w.is_exact) THEN 1 ELSE permission_check{suffix}(
        st, m, w.node, w.object, s_type, s_id, s_relation, truth, given, 0, true) END
    FROM permission_walk_back{suffix}(st, m, relevant, s_type, s_id, s_relation, truth, given, NULL, NULL) w
    WHERE circles IS NULL AND w.node = ANY(starts) GROUP BY w.node, w.object
    ORDER BY 1, 2
$engine$;
"""

# Candidates that are not exact are checked. Where everybody is met behind an operator and is not left, somebody can be
# left whom only tuples of what is taken away name: the exceptions of the exceptions.
SUBJECTS = """
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
        UNION ALL
        SELECT t.subject_id, false, 1
        FROM (
            SELECT start AS node WHERE EXISTS (
                SELECT FROM walked w
                JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind = 1
                    AND h.subject_type = s_type AND h.subject_relation = s_relation
                JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = w.object
                    AND t.relation = h.relation AND t.subject_type = h.subject_type AND t.subject_relation = ''
                    AND t.condition = h.condition AND t.subject_id = '*'
                WHERE NOT w.is_exact AND {truth} > 0
            ) AND permission_check{suffix}(
                st, m, start, start_object, s_type, '*', s_relation, truth, given, 0, true) <> 1
        ) everybody
        CROSS JOIN LATERAL permission_walk{suffix}(st, m, everybody.node, start_object, s_type, NULL, given, 0, true) w
        JOIN accounts_permissionhop h ON h.model_id = m AND h.node = w.node AND h.kind = 0
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = w.object
            AND t.relation = h.relation AND t.subject_type = h.subject_type
            AND t.subject_relation = h.subject_relation AND t.condition = h.condition AND t.subject_id <> '*'
    )
    SELECT met.subject_id, CASE
        WHEN bool_or(met.is_exact AND met.value = 1) THEN 1
        WHEN bool_or(NOT met.is_exact) THEN permission_check{suffix}(
            st, m, start, start_object, s_type, met.subject_id, s_relation, truth, given, 0, true)
        ELSE max(met.value) END
    FROM met GROUP BY met.subject_id
    UNION ALL
    SELECT NULL, -w.node FROM walked w WHERE w.node < 0
    ORDER BY 1
$engine$;
"""

# Subjects by sets: whom an `and` or `but not` leaves is combined from whom its operands have. `*` among the `ins` is
# everybody but the `outs`. NULL: too complex.
MEMBERS = """
CREATE OR REPLACE FUNCTION permission_members{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_relation text, truth jsonb, given jsonb,
    known jsonb, OUT ins text[], OUT outs text[]
) LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    key text := s_type || CASE s_relation WHEN '' THEN '' ELSE '#' || s_relation END;
    nodes integer[];
    objects text[];
    one record;
    part record;
    held jsonb;
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
        held := known -> (one.target || ' ' || one.object);
        IF held IS NULL THEN
            part := permission_combined_members{suffix}(
                st, m, one.target, one.object, s_type, s_relation, truth, given, known);
        ELSE
            SELECT ARRAY(SELECT jsonb_array_elements_text(held -> 'ins')) AS ins,
                ARRAY(SELECT jsonb_array_elements_text(held -> 'outs')) AS outs INTO part;
        END IF;
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

COMBINED_MEMBERS = """
CREATE OR REPLACE FUNCTION permission_combined_members{suffix}(
    st bigint, m bigint, node integer, object text, s_type text, s_relation text, truth jsonb, given jsonb,
    known jsonb, OUT ins text[], OUT outs text[]
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
    FROM permission_members{suffix}(st, m, parts[1], object, s_type, s_relation, truth, given, known) f;
    FOR i IN 2 .. cardinality(parts) LOOP
        IF cardinality(ins) = 0 OR ins IS NULL THEN RETURN; END IF;
        other := permission_members{suffix}(st, m, parts[i], object, s_type, s_relation, truth, given, known);
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

SUBJECTS_BY_SETS = """
CREATE OR REPLACE FUNCTION permission_subjects_by_sets{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_relation text, truth jsonb, given jsonb,
    circles jsonb
) RETURNS TABLE (subject text, answer integer) LANGUAGE sql STABLE {settings} AS $engine$
    WITH found AS MATERIALIZED (
        SELECT f.*
        FROM permission_known_members{suffix}(
            st, m, circles, start, start_object, s_type, s_relation, truth, given
        ) AS k(known)
        LEFT JOIN LATERAL permission_members{suffix}(
            st, m, start, start_object, s_type, s_relation, truth, given, k.known
        ) f ON k.known IS NOT NULL
    )
    SELECT unnest(found.ins), 1 FROM found
    UNION ALL
    SELECT NULL, 5 FROM found WHERE found.ins IS NULL
    ORDER BY 1
$engine$;
"""
