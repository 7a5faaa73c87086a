-- Those of some tables that the reading of a schema opens, so that a lock there keeps it waiting: expressions and the columns of an index
-- are told with the table's own names.
SELECT o.oid::int8
FROM pg_catalog.unnest(%(oids)s::oid[]) o (oid)
WHERE EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = o.oid AND d.classid IN (
        'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
        'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
        'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, 'pg_catalog.pg_publication_rel'::pg_catalog.regclass
    )
) OR EXISTS (
    SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = o.oid AND k.contype NOT IN ('p', 'u', 'f', 'n')
) OR EXISTS (
    SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = o.oid AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
    )
) OR EXISTS (
    SELECT FROM pg_catalog.pg_attribute g WHERE g.attrelid = o.oid AND g.attgenerated <> ''
)
