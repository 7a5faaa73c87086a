-- What hides a volatile function behind something that is not written as a call, and what stands for another server's rows.
WITH RECURSIVE trapped AS (
    SELECT t.oid, t.typname, t.typrelid
    FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_constraint c ON c.contypid = t.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = c.oid
                               AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    JOIN pg_catalog.pg_proc f ON f.oid = d.refobjid
    WHERE f.provolatile = 'v'
    UNION
    SELECT t.oid, t.typname, t.typrelid
    FROM trapped x
    JOIN pg_catalog.pg_type t ON t.typbasetype = x.oid OR t.typelem = x.oid
                              OR EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid AND r.rngsubtype = x.oid)
                              OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                         WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.atttypid = x.oid)
)
SELECT 'operator' AS kind, o.oprname::text AS name
FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc f ON f.oid = o.oprcode
WHERE o.oid >= 16384 AND f.provolatile = 'v'
UNION
-- Domains whose check is volatile, and what is made of them, row types of tables too. Only a cast to one checks, reading does not; and
-- columns are often named like their domain.
SELECT 'checked', t.typname::text FROM trapped t
UNION
-- Both the type and the tables that have a column of it: a cast of a column need not name its type, and EXPLAIN does not show it.
SELECT 'type', x.name
FROM pg_catalog.pg_cast c
JOIN pg_catalog.pg_proc f ON f.oid = c.castfunc
JOIN pg_catalog.pg_type t ON t.oid IN (c.castsource, c.casttarget) AND t.oid >= 16384
CROSS JOIN LATERAL (
    SELECT t.typname::text AS name
    UNION
    SELECT r.relname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid
    WHERE a.atttypid IN (t.oid, t.typarray) AND r.relkind <> 'c'
) AS x
WHERE c.oid >= 16384 AND f.provolatile = 'v'
UNION
SELECT 'foreign', c.relname::text
FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid
