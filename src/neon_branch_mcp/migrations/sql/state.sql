-- Everything that a statement outside a transaction can change, before and after it: seen from the watching connection.
SELECT
    c.oid::int8 AS oid,
    n.nspname AS schema,
    c.relname AS name,
    c.relkind::text AS kind,
    pg_catalog.pg_relation_filenode(c.oid)::int8 AS filenode,
    i.indrelid::int8 AS table_oid,
    COALESCE(NOT i.indisvalid, false) AS invalid,
    (
        SELECT pg_catalog.format('%%I.%%I', pn.nspname, p.relname)
        FROM pg_catalog.pg_inherits h
        JOIN pg_catalog.pg_class p ON p.oid = h.inhparent
        JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
        WHERE h.inhrelid = c.oid AND h.inhdetachpending
    ) AS detaching_from,
    pg_catalog.pg_stat_get_tuples_returned(c.oid) AS read,
    pg_catalog.pg_stat_get_tuples_updated(c.oid) AS updated,
    pg_catalog.pg_stat_get_tuples_deleted(c.oid) AS deleted,
    CASE WHEN c.relkind = 'r' THEN (
        SELECT pg_catalog.json_object_agg(a.attnum, a.attname)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ) END AS columns
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I') AND c.oid >= 16384 AND n.nspname NOT IN ('pg_toast', 'neon_branch_mcp')
