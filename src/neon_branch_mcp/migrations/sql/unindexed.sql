-- Foreign keys that this transaction made and that no index of the referencing table serves.
SELECT
    CASE WHEN n.nspname = 'public' THEN t.relname ELSE n.nspname || '.' || t.relname END AS name,
    (
        SELECT pg_catalog.string_agg(a.attname, ', ' ORDER BY k.position)
        FROM pg_catalog.unnest(c.conkey) WITH ORDINALITY k (attnum, position)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
    ) AS columns
FROM pg_catalog.pg_constraint c
JOIN pg_catalog.pg_class t ON t.oid = c.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE c.contype = 'f' AND c.conparentid = 0
    AND pg_catalog.age(c.xmin) <= pg_catalog.age(pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid)
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index i
        WHERE i.indrelid = c.conrelid AND i.indpred IS NULL AND i.indisvalid
            AND (i.indkey::int2[])[0:pg_catalog.cardinality(c.conkey) - 1] OPERATOR(pg_catalog.@>) c.conkey
    )
ORDER BY 1, 2
