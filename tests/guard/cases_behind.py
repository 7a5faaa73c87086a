"""Attacks whose effect stands where no call is written, most behind a label that lies, and the traps for them."""

# After WORLD of world.py, as the owner. Whatever is IMMUTABLE and gets constants is called while the statement is planned.
BEHIND = """
CREATE FUNCTION liar(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(n); END $$;
-- Fields that are functions, of a constant and inside a body.
CREATE TYPE triple AS (a int, b int, c int);
CREATE FUNCTION lying_field(t triple) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5103); END $$;
CREATE FUNCTION lying_of_any(t anyelement) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5104); END $$;
CREATE FUNCTION uses_a_field() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN (SELECT max(c.evil_field) FROM canary c); END $$;
-- A cast of what a function gives; nothing in the text says which type it is.
CREATE TYPE quad AS (a int, b int);
CREATE FUNCTION lying_cast(q quad) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5105); END $$;
CREATE CAST (quad AS int) WITH FUNCTION lying_cast(quad) AS IMPLICIT;
CREATE FUNCTION gives_a_quad() RETURNS quad LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN row(1, 2); END $$;
CREATE FUNCTION gives_quads() RETURNS quad[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN ARRAY[row(1, 2)::quad]; END $$;
CREATE FUNCTION gives_a_quad_out(OUT q quad, OUT n int) LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN n := 1; END $$;
-- Defaults of arguments.
CREATE FUNCTION lying_default(n int DEFAULT liar(5106)) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN n; END $$;
CREATE FUNCTION calls_a_default() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN defaulted(); END $$;
-- What planning computes of a table: statistics, keys of partitions, defaults of columns, rules, checks of policies.
CREATE TABLE with_statistics (a int, b int);
CREATE STATISTICS lying_statistics ON (liar(5107) + a), b FROM with_statistics;
CREATE TABLE with_key (a int, b int) PARTITION BY RANGE ((liar(5108) + a));
CREATE TABLE with_key_1 PARTITION OF with_key FOR VALUES FROM (0) TO (10000);
CREATE TABLE with_default (a int, b int DEFAULT liar(5109));
CREATE TABLE with_rule (a int);
CREATE RULE lying_rule AS ON DELETE TO with_rule WHERE liar(5110) > 0 DO ALSO DELETE FROM orgs WHERE id = liar(5111);
CREATE TABLE with_policy (a int);
ALTER TABLE with_policy ENABLE ROW LEVEL SECURITY;
ALTER TABLE with_policy FORCE ROW LEVEL SECURITY;
CREATE POLICY p ON with_policy USING (true) WITH CHECK (liar(5112) > 0);
CREATE DOMAIN with_default_domain AS int DEFAULT liar(5113);
CREATE TABLE with_domain_default (a int, b with_default_domain);
CREATE VIEW over_statistics AS SELECT a FROM with_statistics;
CREATE VIEW updatable WITH (check_option = local) AS SELECT a FROM with_default WHERE a > liar(5114);
CREATE TABLE with_index (a int);
CREATE INDEX ON with_index (a) WHERE a > liar(5115);
CREATE TABLE with_check (a int, CHECK (a > liar(5116)));
CREATE TABLE with_generated (a int, b int GENERATED ALWAYS AS (a + liar(5117)) STORED);
CREATE TABLE with_exclusion (a int, EXCLUDE USING btree ((a + liar(5118)) WITH =));
CREATE TABLE with_parent (a int);
CREATE TABLE with_child (CHECK (a > liar(5119))) INHERITS (with_parent);
-- A row type that a function of the server's own fills, checking a domain on the way.
CREATE TYPE holder AS (t trapped);
CREATE TABLE holders (h holder, t trapped);
CREATE VIEW some_holder AS SELECT h FROM holders;
CREATE FUNCTION takes_polymorphic(a anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN json_populate_record(a, '{"t": 5}'); END $$;
-- Bodies that hide the call.
CREATE FUNCTION loops() RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE r record; BEGIN FOR r IN SELECT * FROM trap_view LOOP NULL; END LOOP; RETURN 1; END $$;
CREATE FUNCTION opens_a_cursor() RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE c CURSOR FOR SELECT trap(5120); r int; BEGIN OPEN c; FETCH c INTO r; RETURN r; END $$;
CREATE FUNCTION declares() RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE x trapped := 5; BEGIN RETURN x; END $$;
CREATE FUNCTION assigns() RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE x typed.trapped%TYPE; BEGIN x := 5; RETURN x; END $$;
CREATE FUNCTION row_typed() RETURNS int LANGUAGE plpgsql STABLE AS $$ DECLARE x typed%ROWTYPE; BEGIN x.trapped := 5; RETURN 1; END $$;
CREATE FUNCTION quoted() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN "trap" /**/ (5121); END $$;
CREATE FUNCTION inlines() RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT liar(5122) $$;
CREATE FUNCTION through_sql_body() RETURNS int LANGUAGE sql STABLE RETURN trap(5123);
CREATE FUNCTION runs_text() RETURNS xml LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN query_to_xml('SELECT tr' || 'ap(5124)', true, true, ''); END $$;
CREATE FUNCTION with_arguments(a int, OUT b int, VARIADIC c int[]) LANGUAGE plpgsql STABLE AS $$ BEGIN b := trap(5125); END $$;
CREATE FUNCTION setting() RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN RETURN set_config('default_transaction_read_only', 'off', false); END $$;
CREATE FUNCTION excepts() RETURNS int LANGUAGE plpgsql STABLE AS $$
BEGIN BEGIN PERFORM pg_notify('deploy', 'x'); EXCEPTION WHEN OTHERS THEN NULL; END; RETURN 1; END $$;
CREATE VIEW calls_a_liar AS SELECT liar(5126) AS l;
CREATE VIEW filtered_by_a_liar WITH (security_barrier) AS SELECT id FROM orgs WHERE id > liar(5127);
CREATE VIEW invoker WITH (security_invoker) AS SELECT trap(5128) AS t;
-- What a plan does not show.
CREATE VIEW limited AS SELECT id FROM canary LIMIT trap(5150);
CREATE VIEW listed AS VALUES (trap(5151));
CREATE VIEW framed AS SELECT id, sum(v) OVER (ORDER BY id ROWS trap(5152) PRECEDING) FROM canary;
CREATE VIEW over_limited AS SELECT count(*) FROM limited;
CREATE MATERIALIZED VIEW with_stored AS SELECT id FROM orgs;
CREATE INDEX ON with_stored ((id + liar(5129)));
"""

BEHIND_ATTACKS: dict[str, tuple[str, ...]] = {
    "behind": (
        "SELECT ('(1,2,3)'::triple).lying_field",
        'SELECT (row(1, 2, 3)::triple)."lying_field"',
        "SELECT ('(1,2,3)'::triple).lying_of_any",
        "SELECT (t).lying_field FROM (SELECT '(1,2,3)'::triple AS t) x",
        "SELECT lying_field('(1,2,3)')",
        "SELECT uses_a_field()",
        "SELECT gives_a_quad()::int",
        "SELECT gives_a_quad() + 1",
        "SELECT (gives_quads())[1]::int",
        "SELECT (gives_a_quad_out()).q::int",
        "SELECT g::int FROM gives_a_quad() g",
        "SELECT CAST('(1,2)'::quad AS int)",
        "SELECT lying_default()",
        "SELECT * FROM lying_default()",
        "SELECT calls_a_default()",
        "SELECT a FROM with_statistics",
        "EXPLAIN SELECT a FROM with_statistics",
        "SELECT * FROM over_statistics",
        "SELECT * FROM with_key",
        "SELECT * FROM with_key WHERE a = 1",
        "EXPLAIN INSERT INTO with_default (a) VALUES (1)",
        "EXPLAIN UPDATE with_default SET b = DEFAULT",
        "EXPLAIN DELETE FROM with_rule",
        "EXPLAIN INSERT INTO with_policy VALUES (1)",
        "EXPLAIN INSERT INTO with_domain_default (a) VALUES (1)",
        "EXPLAIN UPDATE updatable SET a = 1",
        "SELECT * FROM with_index WHERE a > 5",
        "EXPLAIN INSERT INTO with_check VALUES (1)",
        "EXPLAIN INSERT INTO with_generated (a) VALUES (1)",
        "SELECT * FROM with_exclusion",
        "SELECT * FROM with_parent WHERE a > 1",
        "SELECT * FROM with_stored WHERE id > 1",
        "SELECT json_populate_record(t, '{\"trapped\": 5}') FROM (SELECT) x LEFT JOIN typed t ON true",
        "SELECT jsonb_populate_record(h, '{\"t\": 5}') FROM (SELECT) x LEFT JOIN some_holder ON true",
        "SELECT json_populate_recordset(t, '[{\"trapped\": 5}]') FROM (SELECT) x LEFT JOIN typed t ON true",
        "SELECT (jsonb_populate_recordset(t, '[{\"trapped\": 5}]')).* FROM (SELECT) x LEFT JOIN typed t ON true",
        "SELECT jsonb_populate_record_valid(t, '{\"trapped\": 5}') FROM (SELECT) x LEFT JOIN typed t ON true",
        "SELECT json_populate_record((TABLE some_holder), '{\"t\": 5}')",
        "SELECT lag(trapped, 1, '5') OVER () FROM (SELECT) x LEFT JOIN typed t ON true",
        "WITH RECURSIVE r AS (SELECT trapped FROM typed UNION ALL (SELECT '5' FROM r LIMIT 1)) TABLE r",
        "SELECT row('5')::holder",
        "SELECT '(5)'::holder",
        "SELECT '{\"(5)\"}'::holder[]",
        "SELECT h = '(5)' FROM holders",
        'SELECT * FROM jsonb_to_record(\'{"a": {"t": 5}}\') AS x(a holder)',
        "SELECT * FROM ROWS FROM (json_to_recordset('[{\"a\": 5}]') AS (a trapped)) x",
        'SELECT * FROM json_to_record(\'{"a": 5}\') AS ("a" public.trapped)',
        "SELECT loops()",
        "SELECT opens_a_cursor()",
        "SELECT declares()",
        "SELECT assigns()",
        "SELECT row_typed()",
        "SELECT quoted()",
        "SELECT inlines()",
        "SELECT through_sql_body()",
        "SELECT runs_text()",
        "SELECT with_arguments(1, 2)",
        "SELECT setting()",
        "SELECT excepts()",
        "TABLE calls_a_liar",
        "SELECT * FROM filtered_by_a_liar",
        "SELECT t FROM invoker",
        "SELECT id FROM limited",
        "TABLE listed",
        "SELECT max(id) FROM framed",
        "SELECT * FROM over_limited",
        "EXPLAIN TABLE calls_a_liar",
        "EXPLAIN SELECT liar(5130)",
        "EXPLAIN (GENERIC_PLAN) SELECT liar(5131) WHERE $1 = 1",
        "EXPLAIN DELETE FROM canary WHERE id = liar(5132)",
        "EXPLAIN MERGE INTO canary USING orgs ON canary.id = liar(5133) WHEN MATCHED THEN DELETE",
        "SELECT 1 LIMIT liar(5134)",
        "SELECT count(*) FROM canary TABLESAMPLE bernoulli (liar(100))",
        "SELECT sum(liar(5135)) FROM canary",
        "SELECT format('%s', liar(5136))",
        "SELECT array_fill(liar(1), ARRAY[1])",
        "SELECT 1 WHERE liar(5137) IS NULL",
        "SELECT PUBLIC.LIAR(5138)",
        'SELECT "liar"(5139)',
        "SELECT liar(n => 5140)",
        "SELECT liar(n := 5141)",
        "SELECT * FROM liar(5142) AS l(x), LATERAL liar(l.x)",
    ),
}
