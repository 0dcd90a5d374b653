"""The functions that answer a page of a list: as much of a walk as it needs (see `functions`, which fills the braces).

The order is that of the ids, and `after` the last id that was seen, so that whatever is written in between neither
moves what was there all the time to another page nor shows it twice.

Each *source* (a hop, and an id that it is taken with) is a range of an index in that order. Of each a few rows are
read; up to the least of their last ids (the horizon) nothing can be missing. Behind it the next rows are read.
"""

from __future__ import annotations

# `finals` are the nodes whose tuples name what is listed, `inner` those that lead to them. Where these are the same
# (folders in folders) there are no `finals`: the walk itself has to find everything.
PAGE_OF_OBJECTS = """
CREATE OR REPLACE FUNCTION permission_page_of_objects{suffix}(
    st bigint, m bigint, start integer, finals integer[], inner_nodes integer[], s_type text, s_id text,
    s_relation text, truth jsonb, given jsonb, after text, wanted integer
) RETURNS TABLE (object text, answer integer) LANGUAGE plpgsql STABLE {settings} AS $engine$
#variable_conflict use_column
DECLARE
    hops bigint[];
    ids text[];
    exact boolean[];
    first integer;  -- the first operand, where all candidates are those of one operator that can be asked at once
    each integer;
    horizon text;
    found_ids text[];
    are_exact boolean[];
    are_first boolean[];
    left_over text[];
    one record;
BEGIN
    IF finals = '{{}}' THEN
        FOR one IN
            SELECT w.object, bool_or(w.is_exact) AS is_exact
            FROM permission_walk_back{suffix}(st, m, inner_nodes, s_type, s_id, s_relation, truth, given, NULL, NULL) w
            WHERE w.node = start AND w.object > after GROUP BY w.object ORDER BY 1
        LOOP
            object := one.object;
            answer := CASE WHEN one.is_exact THEN 1 ELSE permission_check{suffix}(
                st, m, start, one.object, s_type, s_id, s_relation, truth, given, 0, true) END;
            CONTINUE WHEN answer IN (0, 2);
            RETURN NEXT;
            wanted := wanted - 1;
            IF wanted = 0 THEN RETURN; END IF;
        END LOOP;
        RETURN;
    END IF;
    SELECT array_agg(s.hop), array_agg(s.id), array_agg(s.is_exact) INTO hops, ids, exact
    FROM (
        SELECT h.id AS hop, CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END AS id, true AS is_exact
        FROM accounts_permissionhop h
        WHERE h.model_id = m AND h.node = ANY(finals) AND h.kind IN (0, 1)
            AND h.subject_type = s_type AND h.subject_relation = s_relation
        UNION ALL
        SELECT h.id, w.object, w.is_exact
        FROM permission_walk_back{suffix}(st, m, inner_nodes, s_type, s_id, s_relation, truth, given, NULL, NULL) w
        JOIN accounts_permissionhop h ON h.model_id = m AND h.target = w.node AND h.kind IN (2, 3)
            AND h.node = ANY(finals)
    ) s WHERE s.id IS NOT NULL;
    SELECT o.operands[1] INTO first
    FROM accounts_permissionhop h
    JOIN accounts_permissionnode o ON o.model_id = m AND o.number = h.target
    WHERE h.model_id = m AND h.node = start AND h.kind = 4 AND cardinality(finals) = 2
        AND true <> ALL(o.nested) AND NOT truth @? '$.* ? (@ == 4)';
    each := GREATEST(8, 1 + 2 * wanted / GREATEST(1, cardinality(hops)));
    LOOP
        WITH rows AS MATERIALIZED (
            SELECT s.place, h.node, t.object_id AS id, s.is_exact AND t.value = 1 AS is_exact
            FROM unnest(hops, ids, exact) WITH ORDINALITY AS s(hop, id, is_exact, place)
            JOIN accounts_permissionhop h ON h.id = s.hop
            CROSS JOIN LATERAL (
                SELECT t.object_id, {truth} AS value
                FROM {tuples} t
                WHERE t.store_id = st AND t.subject_type = h.subject_type AND t.subject_id = s.id
                    AND t.subject_relation = h.subject_relation AND t.object_type = h.object_type
                    AND t.relation = h.relation AND t.condition = h.condition AND t.object_id > after
                    AND {truth} > 0
                ORDER BY t.object_id LIMIT each
            ) t
            UNION ALL
            SELECT 0, h.node, s_id, true
            FROM accounts_permissionhop h
            WHERE s_relation <> '' AND h.model_id = m AND h.node = ANY(finals) AND h.kind = 5
                AND h.subject_type = s_type AND h.subject_relation = s_relation AND s_id > after
        ), ends AS (
            SELECT min(l.last) AS horizon
            FROM (SELECT max(r.id) AS last FROM rows r WHERE r.place > 0 GROUP BY r.place HAVING count(*) >= each) l
        ), near AS (
            SELECT r.id, bool_or(r.is_exact AND r.node = start) AS is_exact,
                bool_or(r.is_exact AND r.node = first) AND NOT bool_or(r.node = start AND NOT r.is_exact) AS is_first
            FROM ends e JOIN rows r ON e.horizon IS NULL OR r.id <= e.horizon
            GROUP BY r.id ORDER BY r.id LIMIT 2 * wanted
        )
        SELECT array_agg(n.id ORDER BY n.id), array_agg(n.is_exact ORDER BY n.id),
            array_agg(n.is_first ORDER BY n.id),
            CASE WHEN count(*) = 2 * wanted THEN max(n.id) ELSE (SELECT e.horizon FROM ends e) END
        INTO found_ids, are_exact, are_first, horizon
        FROM near n;
        left_over := NULL;
        IF first IS NOT NULL THEN
            left_over := permission_left_over{suffix}(st, m, start, ARRAY(
                SELECT f.id FROM unnest(found_ids, are_exact, are_first) AS f(id, is_exact, is_first)
                WHERE f.is_first AND NOT f.is_exact
            ), s_type, s_id, s_relation, truth, given);
        END IF;
        FOR i IN 1 .. COALESCE(cardinality(found_ids), 0) LOOP
            object := found_ids[i];
            answer := CASE
                WHEN are_exact[i] THEN 1
                WHEN are_first[i] AND left_over IS NOT NULL THEN (object = ANY(left_over))::integer
                ELSE permission_check{suffix}(
                    st, m, start, object, s_type, s_id, s_relation, truth, given, 0, true)
            END;
            CONTINUE WHEN answer IN (0, 2);
            RETURN NEXT;
            wanted := wanted - 1;
            IF wanted = 0 THEN RETURN; END IF;
        END LOOP;
        EXIT WHEN horizon IS NULL;
        after := horizon;
        each := each * 2;
    END LOOP;
END $engine$;
"""

# Of objects that the first operand holds, those that the operator leaves. NULL: too complex for this.
LEFT_OVER = """
CREATE OR REPLACE FUNCTION permission_left_over{suffix}(
    st bigint, m bigint, start integer, candidates text[], s_type text, s_id text, s_relation text,
    truth jsonb, given jsonb
) RETURNS text[] LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    one record;
    found text[];
    is_incomplete boolean;
BEGIN
    FOR one IN
        SELECT part.node, o.operator AS sign
        FROM accounts_permissionhop h
        JOIN accounts_permissionnode o ON o.model_id = m AND o.number = h.target
        CROSS JOIN unnest(o.operands) WITH ORDINALITY AS part(node, place)
        WHERE h.model_id = m AND h.node = start AND h.kind = 4 AND part.place > 1
    LOOP
        WITH RECURSIVE reach(origin, node, object, steps) AS (
            SELECT c.id, one.node, c.id, 0 FROM unnest(candidates) AS c(id)
            UNION
            SELECT r.origin, h.target, t.subject_id, r.steps + 1
            FROM reach r
            JOIN accounts_permissionhop h ON h.model_id = m AND h.node = r.node AND h.kind IN (2, 3)
                AND key = ANY(h.subjects)
            JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = r.object
                AND t.relation = h.relation AND t.subject_type = h.subject_type
                AND t.subject_relation = h.subject_relation AND t.condition = h.condition
            WHERE r.steps <= {max_depth} AND t.subject_id <> '*' AND {truth} = 1
        ), near AS MATERIALIZED (SELECT * FROM reach LIMIT 10000)
        SELECT array_agg(DISTINCT f.origin) FILTER (WHERE EXISTS (
            SELECT FROM accounts_permissionhop h
            CROSS JOIN LATERAL (
                SELECT FROM {tuples} t
                WHERE t.store_id = st AND t.object_type = h.object_type AND t.object_id = f.object
                    AND t.relation = h.relation AND t.subject_type = h.subject_type
                    AND t.subject_relation = h.subject_relation
                    AND t.subject_id = CASE h.kind WHEN 1 THEN '*' ELSE NULLIF(s_id, '*') END
                    AND t.condition = h.condition AND {truth} = 1
                LIMIT 1
            ) probe
            WHERE h.model_id = m AND h.node = f.node AND h.kind IN (0, 1)
                AND h.subject_type = s_type AND h.subject_relation = s_relation
        ) OR (s_relation <> '' AND f.object = s_id AND EXISTS (
            SELECT FROM accounts_permissionhop h
            WHERE h.model_id = m AND h.node = f.node AND h.kind = 5
                AND h.subject_type = s_type AND h.subject_relation = s_relation
        ))), count(*) = 10000 OR bool_or(f.steps > {max_depth})
        INTO found, is_incomplete
        FROM near f;
        IF is_incomplete THEN RETURN NULL; END IF;
        found := COALESCE(found, '{{}}');
        candidates := CASE one.sign
            WHEN '&' THEN ARRAY(SELECT unnest(candidates) INTERSECT SELECT unnest(found))
            ELSE ARRAY(SELECT unnest(candidates) EXCEPT SELECT unnest(found)) END;
        EXIT WHEN cardinality(candidates) = 0;
    END LOOP;
    RETURN candidates;
END $engine$;
"""

# Where operators are on the way all subjects are found first: whom they leave hangs on all that they combine.
PAGE_OF_SUBJECTS = """
CREATE OR REPLACE FUNCTION permission_page_of_subjects{suffix}(
    st bigint, m bigint, start integer, start_object text, s_type text, s_relation text, truth jsonb, given jsonb,
    after text, wanted integer, has_operators boolean, circles jsonb
) RETURNS TABLE (subject text, answer integer) LANGUAGE plpgsql STABLE {settings} AS $engine$
#variable_conflict use_column
DECLARE
    {key}
    nodes integer[];
    objects text[];
    each integer;
    horizon text;
    one record;
BEGIN
    IF has_operators THEN
        RETURN QUERY SELECT f.subject, f.answer FROM (
            SELECT * FROM permission_subjects_by_sets{suffix}(
                st, m, start, start_object, s_type, s_relation, truth, given, circles) WHERE circles IS NOT NULL
            UNION ALL
            SELECT * FROM permission_subjects{suffix}(
                st, m, start, start_object, s_type, s_relation, truth, given) WHERE circles IS NULL
        ) f WHERE f.answer NOT IN (0, 2) AND (f.subject > after OR f.subject IS NULL)
        ORDER BY f.subject NULLS FIRST LIMIT wanted;
        RETURN;
    END IF;
    SELECT array_agg(w.node), array_agg(w.object) INTO nodes, objects
    FROM permission_walk{suffix}(st, m, start, start_object, key, truth, given, 0, false) w;
    IF nodes[1] < 0 THEN
        answer := -nodes[1];
        RETURN NEXT;
        RETURN;
    END IF;
    each := GREATEST(8, 1 + 2 * wanted / cardinality(nodes));
    LOOP
        horizon := NULL;
        FOR one IN
            WITH rows AS MATERIALIZED (
                SELECT s.place, h.id AS hop, t.subject_id AS id, t.value
                FROM unnest(nodes, objects) WITH ORDINALITY AS s(node, object, place)
                JOIN accounts_permissionhop h ON h.model_id = m AND h.node = s.node AND h.kind = 0
                    AND h.subject_type = s_type AND h.subject_relation = s_relation
                CROSS JOIN LATERAL (
                    SELECT t.subject_id, {truth} AS value
                    FROM {tuples} t
                    WHERE t.store_id = st AND t.object_type = h.object_type AND t.object_id = s.object
                        AND t.relation = h.relation AND t.subject_type = h.subject_type
                        AND t.subject_relation = h.subject_relation AND t.condition = h.condition
                        AND t.subject_id > after AND t.subject_id <> '*' AND {truth} > 0
                    ORDER BY t.subject_id LIMIT each
                ) t
                UNION ALL
                SELECT NULL, NULL, '*', {truth}
                FROM unnest(nodes, objects) AS s(node, object)
                JOIN accounts_permissionhop h ON h.model_id = m AND h.node = s.node AND h.kind = 1
                    AND h.subject_type = s_type AND h.subject_relation = s_relation
                JOIN {tuples} t ON t.store_id = st AND t.object_type = h.object_type AND t.object_id = s.object
                    AND t.relation = h.relation AND t.subject_type = h.subject_type
                    AND t.subject_relation = h.subject_relation AND t.subject_id = '*' AND t.condition = h.condition
                WHERE '*' > after AND {truth} > 0
                UNION ALL
                SELECT NULL, NULL, s.object, 1
                FROM unnest(nodes, objects) AS s(node, object)
                JOIN accounts_permissionhop h ON h.model_id = m AND h.node = s.node AND h.kind = 5
                    AND h.subject_type = s_type AND h.subject_relation = s_relation
                WHERE s_relation <> '' AND s.object > after
            ), ends AS (
                SELECT min(l.last) AS horizon
                FROM (SELECT max(r.id) AS last FROM rows r WHERE r.place IS NOT NULL
                    GROUP BY r.place, r.hop HAVING count(*) >= each) l
            )
            SELECT r.id, min(r.value) AS value, e.horizon
            FROM ends e LEFT JOIN rows r ON e.horizon IS NULL OR r.id <= e.horizon
            GROUP BY r.id, e.horizon ORDER BY r.id
        LOOP
            horizon := one.horizon;
            CONTINUE WHEN one.id IS NULL;
            subject := one.id;
            answer := one.value;
            RETURN NEXT;
            wanted := wanted - 1;
            IF wanted = 0 THEN RETURN; END IF;
        END LOOP;
        EXIT WHEN horizon IS NULL;
        after := horizon;
        each := each * 2;
    END LOOP;
END $engine$;
"""
