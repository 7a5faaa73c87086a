"""Attacks of a fourth look: traps of kinds that the others have not, what Postgres 17 and 18 write differently, odd spellings of both."""

# After WORLD of world.py, as the owner.
AGAIN = """
-- A range type whose function measures distances: planning a comparison with a range calls it, once there are statistics.
CREATE FUNCTION lying_distance(a int, b int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5201); END $$;
CREATE TYPE lying_range AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = lying_distance);
CREATE TABLE with_range (r lying_range);
INSERT INTO with_range SELECT lying_range(g, g + 5) FROM generate_series(1, 300) g;
ANALYZE with_range;
-- Functions and views that reach the same trap by further ways.
CREATE FUNCTION returns_rows() RETURNS SETOF canary LANGUAGE sql STABLE ROWS 5 AS $$ SELECT * FROM canary WHERE trap(5204) > 0 $$;
CREATE FUNCTION returns_table() RETURNS TABLE (a int, b int) LANGUAGE sql STABLE RETURN (SELECT row(trap(5205), 1));
CREATE FUNCTION by_query() RETURNS SETOF int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN QUERY SELECT trap(5206); END $$;
CREATE FUNCTION by_execute(t text) RETURNS SETOF int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN QUERY EXECUTE t; END $$;
CREATE FUNCTION by_cursor(t text) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE c refcursor; r int; BEGIN OPEN c FOR EXECUTE t; FETCH c INTO r; CLOSE c; RETURN r; END $$;
CREATE FUNCTION by_operator() RETURNS int LANGUAGE sql STABLE AS $$ SELECT 1 OPERATOR(public.###) 2 $$;
CREATE FUNCTION by_perform() RETURNS int LANGUAGE plpgsql STABLE AS $f$ BEGIN PERFORM(SELECT trap(5207)); RETURN 1; END $f$;
CREATE FUNCTION by_raise() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE NOTICE '%', trap(5208); RETURN 1; END $$;
CREATE FUNCTION by_assert() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN ASSERT trap(5209) > 0; RETURN 1; END $$;
CREATE FUNCTION by_case() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN CASE trap(5210) WHEN 1 THEN NULL; ELSE NULL; END CASE;
RETURN 1; END $$;
CREATE FUNCTION by_loop() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN FOR i IN 1..trap(2) LOOP RETURN i; END LOOP; RETURN 0; END $$;
CREATE FUNCTION by_while() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN WHILE trap(5211) < 0 LOOP NULL; END LOOP; RETURN 0; END $$;
CREATE FUNCTION by_xml() RETURNS xml LANGUAGE sql STABLE AS $$ SELECT query_to_xml('SELECT public.tr' || 'ap(5212)', true, true, '') $$;
CREATE FUNCTION by_sequence() RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT nextval('counter') $$;
CREATE FUNCTION by_setting() RETURNS int LANGUAGE plpgsql STABLE SET search_path = public AS $$ BEGIN RETURN trap(5213); END $$;
CREATE FUNCTION by_definer() RETURNS int LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER AS $$ BEGIN RETURN trap(5214); END $$;
CREATE FUNCTION by_overload(a int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 1 $$;
CREATE FUNCTION by_overload(a text) RETURNS int LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN trap(5215); END $$;
CREATE FUNCTION "SELECT"(a int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(5216) $$;
CREATE FUNCTION "a b"(a int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(5217) $$;
CREATE FUNCTION md5(a int, b int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(5218) $$;
CREATE FUNCTION pi(a int) RETURNS int LANGUAGE sql VOLATILE AS $$ SELECT trap(5219) $$;
CREATE FUNCTION initcap(a int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5220)::text; END $$;
CREATE FUNCTION lying_finish(s int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5221); END $$;
CREATE AGGREGATE lying_final(int) (SFUNC = int4pl, STYPE = int, FINALFUNC = lying_finish, INITCOND = '0');
CREATE FUNCTION lying_start(s int, v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5222); END $$;
CREATE FUNCTION lying_inverse(s int, v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5223); END $$;
CREATE AGGREGATE lying_moving(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', MSFUNC = lying_start, MINVFUNC = lying_inverse,
    MSTYPE = int, MINITCOND = '0');
CREATE FUNCTION lying_order(s int, p float8) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trap(5224); END $$;
CREATE AGGREGATE lying_ordered(float8 ORDER BY int) (SFUNC = int4pl, STYPE = int, FINALFUNC = lying_order, INITCOND = '0');
CREATE VIEW by_lateral AS SELECT o.id, l.t FROM orgs o, LATERAL (SELECT trap(5225 + o.id) AS t) l;
CREATE VIEW by_ordinality AS SELECT * FROM no_arguments() WITH ORDINALITY AS n(a, b);
CREATE VIEW by_rows AS SELECT * FROM ROWS FROM (no_arguments(), generate_series(1, 2)) AS r(a, b);
CREATE VIEW by_union AS SELECT 1 AS a UNION ALL SELECT trap(5230);
CREATE VIEW by_with AS WITH w AS MATERIALIZED (SELECT trap(5231) AS a) SELECT 1 AS b FROM w;
CREATE VIEW by_having AS SELECT count(*) FROM orgs HAVING trap(5232) > 0;
CREATE VIEW by_filter AS SELECT count(*) FILTER (WHERE trap(5233) > 0) FROM orgs;
CREATE VIEW by_window AS SELECT id, lag(id, trap(1)) OVER (ORDER BY id) AS l FROM orgs;
CREATE VIEW by_sample AS SELECT id FROM orgs TABLESAMPLE bernoulli (trap(100));
CREATE VIEW by_repeat AS SELECT id FROM orgs TABLESAMPLE bernoulli (100) REPEATABLE (trap(5234));
CREATE VIEW by_offset AS SELECT id FROM orgs OFFSET trap(1);
CREATE VIEW by_cast AS SELECT p::int AS a FROM pairs;
CREATE VIEW by_domain AS SELECT id::trapped AS a FROM orgs;
CREATE VIEW by_subscript AS SELECT (ARRAY[1, 2])[trap(1)] AS a;
CREATE VIEW by_json AS SELECT JSON_OBJECT('a': trap(5235)) AS a;
CREATE VIEW by_xmltable AS SELECT x.* FROM XMLTABLE('/a' PASSING ('<a/>'::xml) COLUMNS b text DEFAULT trap(5236)::text) x;
CREATE VIEW by_json_table AS SELECT j.* FROM JSON_TABLE('[1]', '$[*]' PASSING trap(5237) AS z COLUMNS (a int PATH '$')) j;
CREATE VIEW by_exists AS SELECT id FROM orgs WHERE NOT EXISTS (SELECT FROM canary WHERE trap(5238) < 0);
CREATE VIEW by_recursion AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT trap(5239) FROM r WHERE n < 2) SELECT n FROM r;
CREATE VIEW "Odd view" AS SELECT trap(5240) AS "t t";
CREATE SCHEMA elsewhere;
CREATE VIEW elsewhere.shadow AS SELECT trap(5241) AS id, 'x' AS name;
CREATE FUNCTION elsewhere.btrim(a text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT public.trap(5242)::text $$;
CREATE FUNCTION elsewhere.lying_plus(a text, b text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.trap(5243); END $$;
CREATE OPERATOR elsewhere.@+@ (LEFTARG = text, RIGHTARG = text, FUNCTION = elsewhere.lying_plus);
"""

KILL = "pg_terminate_backend({pid})"
DELETES = "WITH d AS (DELETE FROM canary RETURNING id)"

AGAIN_ATTACKS: dict[str, tuple[str, ...]] = {
    "behind-2": (
        "SELECT * FROM with_range WHERE r && '[3,9)'",
        "SELECT count(*) FROM with_range WHERE r @> 5",
        "EXPLAIN SELECT * FROM with_range WHERE r << '[3,9)'::lying_range",
        "SELECT * FROM returns_rows()",
        "SELECT (returns_rows()).*",
        "SELECT * FROM returns_table() AS t(x, y)",
        "SELECT by_query()",
        "SELECT * FROM by_execute('SELECT public.tr' || 'ap(5250)')",
        "SELECT by_cursor($$SELECT public.trap$$ || '(5251)')",
        "SELECT by_operator()",
        "SELECT by_perform()",
        "SELECT by_raise()",
        "SELECT by_assert()",
        "SELECT by_case()",
        "SELECT by_loop()",
        "SELECT by_while()",
        "SELECT by_xml()",
        "SELECT by_sequence()",
        "SELECT by_setting()",
        "SELECT by_definer()",
        "SELECT by_overload('x'::text)",
        "SELECT by_overload(a => 'x')",
        'SELECT "SELECT"(1)',
        'SELECT "a b"(1)',
        'SELECT public . "a b" /* ( */ (1)',
        "SELECT md5(1, 2)",
        "SELECT pi(5)",
        "SELECT pi(a => 5)",
        "SELECT initcap(5)",
        "SELECT lying_final(id) FROM orgs",
        "SELECT lying_final(id) OVER () FROM orgs",
        "SELECT lying_moving(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM orgs",
        "SELECT lying_ordered(0.5) WITHIN GROUP (ORDER BY id) FROM orgs",
        "TABLE by_lateral",
        "TABLE by_ordinality",
        "TABLE by_rows",
        "TABLE by_union",
        "TABLE by_with",
        "TABLE by_having",
        "TABLE by_filter",
        "TABLE by_window",
        "TABLE by_sample",
        "TABLE by_repeat",
        "SELECT * FROM by_offset",
        "SELECT a FROM by_cast",
        "SELECT a FROM by_domain",
        "SELECT a FROM by_subscript",
        "SELECT a FROM by_json",
        "SELECT * FROM by_xmltable",
        "SELECT * FROM by_json_table",
        "SELECT * FROM by_exists",
        "SELECT * FROM by_recursion",
        'SELECT "t t" FROM "Odd view"',
        "SELECT * FROM elsewhere.shadow",
        'TABLE "elsewhere" . "shadow"',
        "SELECT elsewhere.btrim('A')",
        "SELECT 'a' OPERATOR(elsewhere.@+@) 'b'",
        "SELECT text 'a' OPERATOR(\"elsewhere\" . @+@) text 'b'",
    ),
    "func-4": (
        f"SELECT JSON_ARRAY({KILL} FORMAT JSON)",
        f"SELECT JSON_OBJECT(KEY 'a' VALUE {KILL} NULL ON NULL WITH UNIQUE KEYS RETURNING jsonb)",
        f"SELECT JSON_OBJECTAGG(k: {KILL} ABSENT ON NULL) FROM (VALUES ('a')) v(k)",
        f"SELECT JSON_ARRAYAGG({KILL} ORDER BY 1 NULL ON NULL RETURNING text)",
        f"SELECT JSON_ARRAY(SELECT {KILL})",
        f"SELECT JSON_SERIALIZE({KILL}::text::json RETURNING bytea)",
        f"SELECT JSON_VALUE(jsonb '1', '$' DEFAULT {KILL}::int ON EMPTY DEFAULT 2 ON ERROR)",
        f"SELECT JSON_QUERY(jsonb '1', ('$' || {KILL}::text)::jsonpath WITH CONDITIONAL WRAPPER)",
        f"SELECT JSON_EXISTS(jsonb '1', '$ ? (@ == $x)' PASSING {KILL}::int AS x TRUE ON ERROR)",
        "SELECT * FROM JSON_TABLE(jsonb '[{\"a\": 1}]', '$[*]' COLUMNS (n FOR ORDINALITY, NESTED PATH '$.a' COLUMNS (b int PATH '$' "
        f"DEFAULT {KILL}::int ON EMPTY))) j",
        "SELECT * FROM JSON_TABLE(jsonb '[1]', '$[*]' AS p PASSING pg_advisory_lock(5260)::text AS x COLUMNS (a int PATH '$') "
        "ERROR ON ERROR) j",
        "SELECT * FROM XMLTABLE(XMLNAMESPACES('u' AS x), '/a' PASSING BY REF ('<a/>'::xml) COLUMNS n FOR ORDINALITY, "
        f"b text PATH {KILL}::text)",
        f"SELECT xmlparse(document {KILL}::text)",
        f"SELECT xmlserialize(content {KILL}::text::xml AS text INDENT)",
        f"SELECT xmlpi(name a, {KILL}::text)",
        f"SELECT xmlroot('<a/>'::xml, version {KILL}::text)",
        f"SELECT xmlexists('/a' PASSING BY VALUE ({KILL}::text::xml))",
        f"SELECT xmlagg({KILL}::text::xml ORDER BY 1)",
        f"SELECT now() AT LOCAL, {KILL}",
        f"SELECT collation for ({KILL}::text)",
        f"SELECT id FROM orgs ORDER BY {KILL} USING <",
        f"SELECT x.id FROM orgs JOIN canary USING (id) AS x WHERE {KILL}",
        "WITH RECURSIVE t(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM t WHERE id < 2) SEARCH DEPTH FIRST BY id SET o "
        f"SELECT {KILL} FROM t ORDER BY o",
        "WITH RECURSIVE t(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM t WHERE id < 2) CYCLE id SET c TO true DEFAULT false USING p "
        f"SELECT {KILL} FROM t",
        f"SELECT grouping(id) FROM orgs GROUP BY GROUPING SETS (ROLLUP (id), CUBE (id, ({KILL})))",
        f"SELECT 1 FROM orgs GROUP BY DISTINCT ROLLUP (id, {KILL})",
        f"SELECT array_agg(id ORDER BY {KILL}) FROM orgs",
        f"SELECT any_value({KILL}) FROM orgs",
        f"SELECT count(*) OVER (PARTITION BY id ORDER BY id GROUPS {KILL}::int PRECEDING EXCLUDE TIES) FROM orgs",
        f"SELECT id FROM orgs FETCH FIRST {KILL}::int::bigint ROWS WITH TIES",
        f"SELECT (VALUES ({KILL}))",
        f"SELECT * FROM (VALUES (1, {KILL}), (2, false)) AS v(a, b) WHERE b",
        f"SELECT * FROM orgs, unnest(ARRAY[{KILL}]) WITH ORDINALITY AS u(a, b)",
        f"SELECT * FROM ROWS FROM (unnest(ARRAY[1]), {KILL}) WITH ORDINALITY",
        f"SELECT 1 WHERE ({KILL}, 1) IN (SELECT true, 1)",
        f"SELECT 1 WHERE ROW({KILL}) IS NOT DISTINCT FROM ROW(true)",
        f"SELECT 1 WHERE {KILL} = SOME (ARRAY[true])",
        f"SELECT 'a' SIMILAR TO {KILL}::text ESCAPE '#'",
        f"SELECT substring('abc' SIMILAR {KILL}::text ESCAPE '#')",
        f"SELECT normalize({KILL}::text, NFC)",
        f"SELECT 0x1F, 1_000, 0b1, {KILL}",
        f"SELECT E'\\x41\\u0041', {KILL}",
        f"SELECT $1::int, {KILL}",
        'SELECT "pg_terminate_backend"/**/--\n({pid})',
        'SELECT pg_catalog."pg_terminate_backend" /* a /* b */ c */ ( -- d\n {pid} )',
        "SELECT\tpg_terminate_backend\f(\n{pid}\r)",
        "SELECT pg_terminate_backend(VARIADIC ARRAY[{pid}])",
        "SELECT (pg_terminate_backend)({pid})",
        'SELECT CAST(pg_terminate_backend({pid}) AS text) COLLATE pg_catalog."C"',
        "SELECT pg_terminate_backend(backend_pid) FROM (SELECT {pid} AS backend_pid) s",
        "SELECT 'pg_terminate_backend'::regproc({pid})",
        "SELECT pg_catalog.query_to_xml('SELECT ' || 'pg_termi' || 'nate_backend({pid})', true, true, '')",
        "SELECT \"query_to_xml\"(chr(83) || 'ELECT pg_advisory_lock(5261)', true, true, '')",
        "SELECT query_to_xml_and_xmlschema(query => 'SELECT pg_advisory_lock(5262)', nulls => true, tableforest => true, targetns => '')",
        "SELECT database_to_xml_and_xmlschema(true, true, '')",
        "SELECT cursor_to_xmlschema('nbm', true, true, '')",
        "SELECT ts_stat('SELECT to_tsvector(pg_advisory_lock(5263)::text)', 'ab')",
        "SELECT pg_catalog.ts_rewrite('a', 'SELECT ''a''::tsquery, pg_advisory_lock(5264)::text::tsquery')",
        "SELECT lo_put(lo_from_bytea(0, 'a'), 0, 'b')",
        "SELECT lo_open(lo_creat(-1), 131072)",
        "SELECT lo_get(lo_import('/etc/hostname'))",
        "SELECT pg_ls_dir('/tmp') UNION SELECT pg_read_file('/etc/hostname')",
        "SELECT encode(pg_read_binary_file('/etc/hostname'), 'base64')",
        "SELECT (pg_stat_file('/etc/hostname')).size",
        "SELECT nextval(pg_get_serial_sequence('canary', 'id'))",
        "SELECT setval(pg_get_serial_sequence('canary', 'id')::regclass, 1000, false)",
        "SELECT * FROM setval('counter', 55) WITH ORDINALITY",
        "SELECT nextval('\"counter\"')",
        "SELECT pg_advisory_lock(hashtext('a'))",
        "SELECT pg_stat_reset_shared('io'), pg_stat_reset_slru('commit_timestamp')",
        "SELECT pg_stat_statements_reset(0, 0, 0)",
        "SELECT pg_create_logical_replication_slot('evil', 'pgoutput', temporary => true, twophase => true, failover => false)",
        "SELECT pg_notify('deploy', repeat('x', 7999))",
        "SELECT current_setting('transaction_read_only'), set_config('transaction_read_only', 'off', true)",
        "SELECT set_config('role', 'cloud_admin', false)",
        "SELECT set_config('search_path', 'evil', is_local := false)",
        "SELECT dblink_exec('evil', 'DROP TABLE canary')",
        "SELECT * FROM dblink('host=127.0.0.1', 'DELETE FROM canary RETURNING id') AS t(id int)",
        "SELECT pg_current_logfile(), pg_rotate_logfile()",
        "SELECT brin_summarize_range('canary_pkey', 0), gin_clean_pending_list('canary_pkey'::regclass)",
        "SELECT pg_import_system_collations('pg_catalog'::regnamespace)",
        "SELECT heap_force_kill('canary'::regclass, ARRAY['(0,1)']::tid[])",
    ),
    "hidden-dml-4": (
        "WITH d AS MATERIALIZED (DELETE FROM canary USING orgs WHERE canary.id = orgs.id RETURNING WITH (OLD AS o) o.id) TABLE d",
        "WITH m AS (MERGE INTO canary c USING orgs o ON c.id = o.id WHEN MATCHED AND c.v > 1 THEN UPDATE SET v = DEFAULT WHEN NOT MATCHED "
        "BY SOURCE THEN DELETE RETURNING merge_action()) SELECT count(*) FROM m",
        "WITH x(a) AS (VALUES (1)), i AS (INSERT INTO canary (v) TABLE x RETURNING *) SELECT * FROM i",
        "WITH i AS (INSERT INTO canary AS c (v) VALUES (1) ON CONFLICT (id) DO UPDATE SET v = excluded.v WHERE c.v <> 0 RETURNING c.*) "
        "TABLE i",
        "WITH u AS (UPDATE canary SET (id, v) = (SELECT 9, 9) RETURNING *) SELECT FROM u",
        "WITH u AS (UPDATE ONLY canary AS c SET v = o.id FROM orgs o WHERE o.id = c.id RETURNING c.v) SELECT sum(v) FROM u",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION SELECT n + 1 FROM t), d AS (DELETE FROM canary WHERE id IN (TABLE t)) SELECT 1",
        "WITH a AS (SELECT 1) DELETE FROM canary WHERE EXISTS (TABLE a) RETURNING *",
        f"WITH a AS (SELECT 1) ({DELETES} SELECT * FROM d)",
        f"({DELETES} TABLE d) UNION ALL SELECT 1 ORDER BY 1 LIMIT 1",
        f"SELECT JSON_ARRAY({DELETES} SELECT id FROM d)",
        f"SELECT * FROM JSON_TABLE(({DELETES} SELECT '[1]'::jsonb FROM d), '$[*]' COLUMNS (a int)) j",
        "SELECT * FROM XMLTABLE('/a' PASSING (WITH d AS (UPDATE canary SET v = 0 RETURNING 1) SELECT '<a/>'::xml) COLUMNS x int)",
        f"SELECT xmlparse(content ({DELETES} SELECT id::text FROM d))",
        f"SELECT JSON_VALUE(jsonb '1', '$' DEFAULT ({DELETES} SELECT id FROM d) ON EMPTY)",
        f"SELECT id FROM orgs ORDER BY ({DELETES} SELECT id FROM d) USING <",
        "WITH RECURSIVE d AS (DELETE FROM canary RETURNING id) SEARCH BREADTH FIRST BY id SET o CYCLE id SET c USING p SELECT * FROM d",
        "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r WHERE false) CYCLE n SET c USING p, d AS (DELETE FROM canary) TABLE r",
        "SELECT v AS a INTO evil_table FROM canary JOIN orgs USING (id) AS j",
        "SELECT JSON_ARRAY(1 RETURNING text) AS a INTO evil_table",
        "SELECT xmlserialize(content '<a/>' AS text INDENT) AS a INTO evil_table",
        "SELECT now() AT LOCAL AS a INTO TEMP evil_table",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION SELECT n FROM t) SEARCH DEPTH FIRST BY n SET o SELECT * INTO evil_table FROM t",
        "SELECT * FROM JSON_TABLE(jsonb '[1]', '$[*]' COLUMNS (a int PATH '$' ERROR ON ERROR)) AS j, canary FOR UPDATE",
        "SELECT c.* FROM canary c JOIN orgs USING (id) AS j FOR NO KEY UPDATE OF c",
        "SELECT id FROM canary ORDER BY id USING > FOR UPDATE SKIP LOCKED",
        "SELECT xmlparse(document '<a/>') AS a INTO UNLOGGED TABLE evil_table",
        "SELECT 1 AS x, xmlexists('/a' PASSING BY REF '<a/>') AS y INTO evil_table",
        "EXPLAIN (ANALYZE, SERIALIZE BINARY, MEMORY, GENERIC_PLAN off) DELETE FROM canary",
        "EXPLAIN (GENERIC_PLAN false, SETTINGS, WAL, ANALYZE 1) UPDATE canary SET v = 0",
        "EXPLAIN (ANALYZE t) DELETE FROM canary",
        "EXPLAIN (ANALYZE 'tru', FORMAT JSON) DELETE FROM canary",
        "EXPLAIN (ANALYZE 01) DELETE FROM canary",
        'EXPLAIN (ANALYZE "off", "analyze") DELETE FROM canary',
        'EXPLAIN (ANALYZE off, "analyze" true) DELETE FROM canary',
        "EXPLAIN(FORMAT TEXT)ANALYZE DELETE FROM canary",
        "EXPLAIN (COSTS) (ANALYZE) DELETE FROM canary",
        f"EXPLAIN ANALYZE ({DELETES} TABLE d)",
        "EXPLAIN EXPLAIN ANALYZE DELETE FROM canary",
        "EXPLAIN ANALYZE CREATE TEMP TABLE evil_table AS SELECT 1",
        "EXPLAIN ANALYZE VALUES (1); DELETE FROM canary",
        "EXPLAIN (ANALYZE) SELECT JSON_ARRAY(1 RETURNING text) AS a INTO evil_table",
        f"COPY ({DELETES} TABLE d) TO STDOUT WITH (FORMAT csv, HEADER)",
        "COPY canary FROM STDIN WITH (FORMAT text, ON_ERROR ignore, LOG_VERBOSITY verbose)",
        "COPY canary TO '/tmp/pwn_again' WITH (FORMAT binary)",
        "COPY (TABLE canary) TO PROGRAM 'tee /tmp/pwn_again2'",
        "COPY canary (id, v) FROM PROGRAM 'echo 1' WHERE v > 0",
        "UPDATE pg_catalog.pg_class SET relrowsecurity = true WHERE relname = 'orgs'",
        "INSERT INTO pg_catalog.pg_description VALUES (1, 1, 1, 'evil')",
        "DELETE FROM pg_catalog.pg_description",
        "ALTER SYSTEM SET wal_level TO minimal",
        "ALTER TABLE canary ADD CHECK (v > 0) NOT VALID",
        "ALTER DOMAIN trapped DROP CONSTRAINT trapped_check",
        "CREATE OR REPLACE VIEW plain_view AS SELECT 1 AS id, 'x'::text AS name",
        "CREATE TEMP TABLE canary AS SELECT 1",
        "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
        "CREATE FUNCTION pg_temp.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "REFRESH MATERIALIZED VIEW with_stored WITH NO DATA",
        "DO $do$ BEGIN EXECUTE 'DEL' || 'ETE FROM canary'; END $do$ LANGUAGE plpgsql",
        "DO $$ BEGIN COMMIT; DELETE FROM canary; END $$",
        "do/**/$$begin perform setval('counter',9);end$$",
        "call\np_escape\n(\n)",
        "PREPARE x (int, text) AS INSERT INTO canary (v) VALUES ($1)",
        "DECLARE c NO SCROLL CURSOR WITHOUT HOLD FOR SELECT trap(5265)",
        "FETCH BACKWARD ALL IN nbm",
        "VACUUM (SKIP_DATABASE_STATS, PROCESS_MAIN false) canary",
        "GRANT SET, ALTER SYSTEM ON PARAMETER work_mem TO PUBLIC",
        "WAIT FOR LSN '0/0'",
    ),
    "lexer-4": (
        "\ufeffSELECT 1; DROP TABLE canary",
        "\ufeffSELECT pg_advisory_lock(5270)",
        "SELECT 1\r;\rDROP TABLE canary\r",
        "SELECT 1 --\rDROP TABLE canary",
        "SELECT 1 --\rFROM canary FOR UPDATE",
        "--x\rDROP TABLE canary",
        "SELECT 'a'\r'b\\'; DROP TABLE canary; --'",
        "SELECT 'a' --c\r'b'; DROP TABLE canary",
        "SELECT E'\\\r'; DROP TABLE canary; --'",
        "SELECT 1\u200b; DROP TABLE canary",
        "DROP\u200bTABLE canary",
        "SELECT pg_advisory\u200b_lock(5271), pg_advisory_lock(5271)",
        "SELECT \u202e1; DROP TABLE canary",
        "SELECT -- /* \n 1; DROP TABLE canary; -- */",
        "SELECT $_a$ $_A$ $_a$; DROP TABLE canary; --$_A$",
        "SELECT $éa$ $Éa$ $éa$; DROP TABLE canary",
        "SELECT $a $ $a$; DROP TABLE canary; --$a$",
        "SELECT '' ''; DROP TABLE canary; --'",
        "SELECT ''''; DROP TABLE canary; --'",
        "SELECT E''''; DROP TABLE canary; --'",
        "SELECT B'\\'; DROP TABLE canary; --'",
        "SELECT N'a' 'b'; DROP TABLE canary; --'",
        'SELECT 1 AS "a"";DROP TABLE canary;--"; DROP TABLE canary',
        "SELECT U&'\\0041' UESCAPE '!'; DROP TABLE canary",
        "SELECT U&\"!0070g_advisory_lock\" UESCAPE '!' (5273)",
        'SELECT u&"pg_advisory_lock"(5274)',
        "SELECT 1 ?; DROP TABLE canary",
        'SELECT 1 AS ""; DROP TABLE canary',
        "SELECT 1e5e5; DROP TABLE canary",
        "SELECT 1__0; DROP TABLE canary",
        "SELECT $999999999999; DROP TABLE canary",
        "SELECT %(a)s; DROP TABLE canary",
        "SELECT 1 -- ; \n ; -- ; \n DROP TABLE canary",
        "{% if 1 %}; DROP TABLE canary {% endif %}",
        "SELECT 1 {# '; DROP TABLE canary; -- #}",
        "SELECT 1 /*+ '; DROP TABLE canary; -- */ ; DROP TABLE canary --'",
        "SELECT 1 /*! ; DROP TABLE canary */; DROP TABLE canary",
        "GO\nDROP TABLE canary",
        "SELECT 1\\gexec\nDROP TABLE canary",
        "BEGIN ATOMIC DROP TABLE canary; END",
        "SELECT 1 " + "-- '\n" * 900 + "; DROP TABLE canary",
        "SELECT '" + "x" * 90_000 + "'; DROP TABLE canary",
        "SELECT " + "/**/" * 900 + "1; DROP TABLE canary",
        "SELECT " + "(" * 39 + "pg_advisory_lock(5275)" + ")" * 39,
        "SELECT " + "(SELECT " * 30 + "pg_advisory_lock(5276)" + ")" * 30,
        "SELECT " + " + ".join(["1"] * 3_000) + " + pg_advisory_lock(5277)::text::int",
        "SELECT 1 WHERE " + " OR ".join(["true"] * 2_000) + " OR pg_try_advisory_lock(5278)",
    ),
    "tx-mode-4": (
        "SET LOCAL ROLE cloud_admin",
        "BEGIN; SET LOCAL transaction_read_only = off; DROP TABLE canary; COMMIT",
        "BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE; DELETE FROM canary; COMMIT AND CHAIN",
        "COMMIT/**/;/**/DROP/**/TABLE/**/canary",
        "SAVEPOINT a; RELEASE a; COMMIT; DROP TABLE canary",
        "ROLLBACK; BEGIN READ WRITE; DROP TABLE canary; COMMIT; BEGIN",
        "SET standard_conforming_strings = off; SELECT '\\'; DROP TABLE canary; --'",
        "RESET default_transaction_read_only",
        "SET TRANSACTION NOT DEFERRABLE, READ WRITE",
        "PREPARE TRANSACTION 'a'; COMMIT PREPARED 'a'; DROP TABLE canary",
        "SELECT set_config('default_transaction_read_only', 'off', false); DROP TABLE canary",
        "SHOW transaction_read_only; SET transaction_read_only = off",
    ),
}
