-- Every ordinary table, with the tables it inherits from or is a partition of, and the functions that are not Postgres' own.
SELECT
    c.oid::int8 AS oid,
    n.nspname AS schema,
    c.relname AS name,
    (SELECT pg_catalog.array_agg(p.inhparent::int8) FROM pg_catalog.pg_inherits p WHERE p.inhrelid = c.oid) AS parents,
    c.relkind = 'r' AS holds_rows,
    (
        SELECT pg_catalog.json_object_agg(
            a.attnum, pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
        )
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ) AS columns
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname <> 'neon_branch_mcp'
