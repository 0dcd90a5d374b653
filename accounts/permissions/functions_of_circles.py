"""The functions that answer where an `and` or a `but not` can lead back to itself (see `functions`).

Asked one after the other, such operators would be walked anew on every path that leads to them: with few tuples already
that comes to no end. So all operators that the question leads to are found first, each once, and their answers are
computed together by the alternating fixpoint of the well-founded semantics. A circle adds nobody; what hangs on its own
opposite has no answer. Source: Van Gelder, "The alternating fixpoint of logic programs with negation" (1993).

Lists hold sets instead of answers. Where no operator leads back to itself by what its `but not` takes away (else each
candidate is checked), these grow from round to round until they are what they have to be.
"""

from __future__ import annotations

from typing import Final

# What to solve: operator i has the operands from `firsts[i]` on; operand t holds by tuples alone (`sure`, or `possible`
# where something had no value) or by any of the operators in `ways` from `way_firsts[t]` on. All three end in one entry
# more, which says where the last one stops. The first `goals` operators are asked about: 1 one of them holds, 0 none, 2
# that hangs on its own opposite, or on what is possible only.
SOLVE: Final = """
CREATE OR REPLACE FUNCTION permission_solve(
    goals integer, firsts integer[], subtracted boolean[], sure boolean[], possible boolean[], way_firsts integer[],
    ways integer[]
) RETURNS integer LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = public, pg_temp AS $engine$
DECLARE
    low boolean[] := array_fill(false, ARRAY[cardinality(firsts) - 1]);
    high boolean[];
    following boolean[];
BEGIN
    LOOP
        high := permission_least(firsts, subtracted, possible, sure, low, way_firsts, ways);
        following := permission_least(firsts, subtracted, sure, possible, high, way_firsts, ways);
        EXIT WHEN following = low;
        low := following;
    END LOOP;
    RETURN CASE WHEN true = ANY(low[1 : goals]) THEN 1 WHEN true = ANY(high[1 : goals]) THEN 2 ELSE 0 END;
END $engine$;
"""

# The fewest operators that hold when what is subtracted holds exactly where `opposed` or `against` say so.
LEAST: Final = """
CREATE OR REPLACE FUNCTION permission_least(
    firsts integer[], subtracted boolean[], alone boolean[], opposed boolean[], against boolean[],
    way_firsts integer[], ways integer[]
) RETURNS boolean[] LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = public, pg_temp AS $engine$
DECLARE
    found boolean[] := array_fill(false, ARRAY[cardinality(firsts) - 1]);
    met boolean;
    holds boolean;
    changes boolean;
BEGIN
    LOOP
        changes := false;
        FOR i IN REVERSE cardinality(found) .. 1 LOOP  -- what others hang on was found after them
            CONTINUE WHEN found[i];
            FOR t IN firsts[i] .. firsts[i + 1] - 1 LOOP
                met := CASE WHEN subtracted[t] THEN opposed[t] ELSE alone[t] END;
                FOR w IN way_firsts[t] .. way_firsts[t + 1] - 1 LOOP
                    EXIT WHEN met;
                    met := CASE WHEN subtracted[t] THEN against[ways[w]] ELSE found[ways[w]] END;
                END LOOP;
                holds := met <> subtracted[t];
                EXIT WHEN NOT holds;
            END LOOP;
            found[i] := holds;
            changes := changes OR holds;
        END LOOP;
        EXIT WHEN NOT changes;
    END LOOP;
    RETURN found;
END $engine$;
"""

# From the operators `nodes` of `objects`, reached after so many steps as `depths` say, to the answer: as of `CHECK`.
CIRCLE: Final = """
CREATE OR REPLACE FUNCTION permission_circle{suffix}(
    st bigint, m bigint, s_type text, s_id text, s_relation text, truth jsonb, given jsonb,
    nodes integer[], objects text[], depths integer[]
) RETURNS integer LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    goals integer := cardinality(nodes);
    places text[];
    firsts integer[] := '{{1}}';
    subtracted boolean[] := '{{}}';
    alone integer[] := '{{}}';
    sure boolean[];
    possible boolean[];
    way_firsts integer[] := '{{1}}';
    ways integer[] := '{{}}';
    operand record;
    one record;
    place integer;
    answer integer;
    fault integer;
    i integer := 1;
BEGIN
    SELECT array_agg(node || ' ' || object ORDER BY number) INTO places
    FROM unnest(nodes, objects) WITH ORDINALITY AS p(node, object, number);
    WHILE i <= cardinality(nodes) LOOP
        FOR operand IN
            SELECT o.start, o.nested, n.operator = '-' AND o.number = 2 AS is_subtracted
            FROM accounts_permissionnode n
            CROSS JOIN unnest(n.operands, n.nested) WITH ORDINALITY AS o(start, nested, number)
            WHERE n.model_id = m AND n.number = nodes[i] ORDER BY o.number
        LOOP
            answer := permission_check{suffix}(st, m, operand.start, objects[i], s_type, s_id, s_relation, truth, given,
                depths[i], false);
            subtracted := subtracted || operand.is_subtracted;
            alone := alone || answer;
            IF answer <> 1 AND operand.nested THEN
                FOR one IN
                    SELECT o.* FROM (SELECT operand.start, objects[i] AS start_object, depths[i] AS depth) q
                    CROSS JOIN LATERAL ({operators}) o
                LOOP
                    place := array_position(places, one.node || ' ' || one.object);
                    IF place IS NULL THEN
                        nodes := nodes || one.node;
                        objects := objects || one.object;
                        depths := depths || one.steps;
                        places := places || (one.node || ' ' || one.object);
                        place := cardinality(nodes);
                    ELSIF place > i THEN
                        depths[place] := LEAST(depths[place], one.steps);
                    END IF;
                    ways := ways || place;
                END LOOP;
            END IF;
            way_firsts := way_firsts || (cardinality(ways) + 1);
        END LOOP;
        firsts := firsts || (cardinality(alone) + 1);
        i := i + 1;
    END LOOP;
    SELECT array_agg(value = 1 ORDER BY number), array_agg(value > 0 ORDER BY number), max(value)
    INTO sure, possible, fault
    FROM unnest(alone) WITH ORDINALITY AS a(value, number);
    answer := permission_solve(goals, firsts, subtracted, sure, possible, way_firsts, ways);
    IF answer <> 2 OR sure = possible
        OR permission_solve(goals, firsts, subtracted, sure, sure, way_firsts, ways) = 2
        OR permission_solve(goals, firsts, subtracted, possible, possible, way_firsts, ways) = 2
    THEN
        RETURN answer;
    END IF;
    RETURN fault;  -- why it is possible only
END $engine$;
"""

# What operators hold that lead back to themselves, but never by what a `but not` takes away: they begin with nothing
# and hold more with each round, until a round adds nothing. `circles` are sets of operators (`[[3], [12, 15]]`), of
# which the later may lead to the earlier.
KNOWN = """
CREATE OR REPLACE FUNCTION permission_known{suffix}(
    st bigint, m bigint, circles jsonb, s_type text, s_id text, s_relation text, truth jsonb, given jsonb
) RETURNS jsonb LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    known jsonb := '{{}}';
    following jsonb;
    circle jsonb;
BEGIN
    FOR circle IN SELECT jsonb_array_elements(circles) LOOP
        SELECT known || jsonb_object_agg(node, '[]'::jsonb) INTO following
        FROM jsonb_array_elements_text(circle) AS c(node);
        LOOP
            known := following;
            SELECT known || jsonb_object_agg(c.node, to_jsonb(permission_combined{suffix}(
                st, m, c.node::integer, s_type, s_id, s_relation, truth, given, known)))
            INTO following FROM jsonb_array_elements_text(circle) AS c(node);
            EXIT WHEN (SELECT sum(jsonb_array_length(value)) FROM jsonb_each(following))
                = (SELECT sum(jsonb_array_length(value)) FROM jsonb_each(known));
        END LOOP;
    END LOOP;
    RETURN known;
END $engine$;
"""

# The same of subjects: whom each such operator of each object has that the question leads to. NULL: too complex.
KNOWN_MEMBERS = """
CREATE OR REPLACE FUNCTION permission_known_members{suffix}(
    st bigint, m bigint, circles jsonb, first_node integer, first_object text, s_type text, s_relation text,
    truth jsonb, given jsonb
) RETURNS jsonb LANGUAGE plpgsql STABLE {settings} AS $engine$
DECLARE
    {key}
    known jsonb := '{{}}';
    circle jsonb;
    nodes integer[];
    objects text[];
    place text;
    part record;
    is_new boolean;
BEGIN
    IF circles = '[]' THEN RETURN known; END IF;
    WITH RECURSIVE met(node, object) AS (
        SELECT o.node, o.object
        FROM (SELECT first_node AS start, first_object AS start_object, 0 AS depth) q
        CROSS JOIN LATERAL ({operators}) o
        UNION
        SELECT o.node, o.object
        FROM met
        JOIN accounts_permissionnode n ON n.model_id = m AND n.number = met.node AND NOT n.is_layered
        CROSS JOIN LATERAL (
            SELECT operand.start, met.object AS start_object, 0 AS depth FROM unnest(n.operands) AS operand(start)
        ) q
        CROSS JOIN LATERAL ({operators}) o
    )
    SELECT array_agg(met.node), array_agg(met.object) INTO nodes, objects FROM met;
    FOR circle IN SELECT jsonb_array_elements(circles) LOOP
        SELECT known || COALESCE(jsonb_object_agg(p.node || ' ' || p.object, '{{"ins": [], "outs": []}}'::jsonb),
            '{{}}') INTO known FROM unnest(nodes, objects) AS p(node, object) WHERE circle @> to_jsonb(p.node);
        LOOP
            is_new := false;
            FOR i IN REVERSE COALESCE(cardinality(nodes), 0) .. 1 LOOP  -- those farther away were met later
                CONTINUE WHEN NOT circle @> to_jsonb(nodes[i]);
                place := nodes[i] || ' ' || objects[i];
                SELECT f.ins, jsonb_build_object(
                    'ins', ARRAY(SELECT unnest(f.ins) ORDER BY 1), 'outs', ARRAY(SELECT unnest(f.outs) ORDER BY 1)
                ) AS found
                INTO part
                FROM permission_combined_members{suffix}(
                    st, m, nodes[i], objects[i], s_type, s_relation, truth, given, known) f;
                IF part.ins IS NULL THEN RETURN NULL; END IF;
                IF part.found <> known -> place THEN
                    known := known || jsonb_build_object(place, part.found);
                    is_new := true;
                END IF;
            END LOOP;
            EXIT WHEN NOT is_new;
        END LOOP;
    END LOOP;
    RETURN known;
END $engine$;
"""
