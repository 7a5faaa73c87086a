-- Asked on the watching connection, which sees the catalogue as it was before the open transaction: what these relations were.
-- None of these functions takes a lock on the relation, so the migration's own locks do not stand in the way.
SELECT
    c.oid::int8 AS oid,
    n.nspname AS schema,
    c.relname AS name,
    c.relkind::text AS kind,
    pg_catalog.pg_relation_filenode(c.oid)::int8 AS filenode,
    CASE WHEN c.reltuples >= 0 THEN c.reltuples::int8 END AS estimate,
    pg_catalog.pg_partition_root(c.oid)::int8 AS root,
    (
        SELECT CASE WHEN rn.nspname = 'public' THEN r.relname ELSE rn.nspname || '.' || r.relname END
        FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
        WHERE r.oid = pg_catalog.pg_partition_root(c.oid)
    ) AS root_label,
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits p WHERE p.inhrelid = c.oid) THEN (
        WITH RECURSIVE up (oid) AS (
            SELECT h.inhparent FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid
            UNION SELECT h.inhparent FROM up JOIN pg_catalog.pg_inherits h ON h.inhrelid = up.oid
        )
        SELECT pg_catalog.array_agg(a.relname::text) FROM up JOIN pg_catalog.pg_class a ON a.oid = up.oid
    ) END AS parents,
    i.indrelid::int8 AS table_oid,
    CASE WHEN c.relkind IN ('r', 'p') THEN (
        SELECT pg_catalog.json_object_agg(
            a.attnum, pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
        )
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ) END AS columns
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
WHERE c.oid = ANY (%(oids)s::oid[])
