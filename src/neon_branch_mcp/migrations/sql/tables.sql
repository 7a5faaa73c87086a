-- Every ordinary table, with the tables it inherits from or is a partition of, the views on it, and whether triggers or rules act on it.
SELECT
    c.oid::int8 AS oid,
    n.nspname AS schema,
    c.relname AS name,
    (SELECT pg_catalog.array_agg(p.inhparent::int8) FROM pg_catalog.pg_inherits p WHERE p.inhrelid = c.oid) AS parents,
    (
        SELECT pg_catalog.array_agg(DISTINCT v.relname::text)
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid AND r.ev_class <> c.oid
        JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
        WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid
            AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    ) AS views,
    c.relkind = 'r' AS holds_rows,
    (
        SELECT pg_catalog.json_object_agg(
            a.attnum, pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
        )
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ) AS columns,
    c.relhasrules OR EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal) AS acts
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname <> 'neon_branch_mcp'
