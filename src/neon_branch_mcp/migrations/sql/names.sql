-- Names of all that a statement could meet: relations and functions that are not Postgres' own, and what runs code that a text does not show.
-- `alone`: the OID of an ordinary table that is no part of another and has no parts. `quiet`: who writes to it changes nothing else, for no
-- trigger, rule or cascading key acts on it, and no function of somebody's stands behind a default, a check, an index or a type of it.
-- `still`: what the reading of a schema does not open, so that a lock there keeps it waiting for nothing.
-- Kind 'p' is a function, or a type that may check its values with one; 'x' a relation that calls one when it is read; 'e' an event trigger,
-- or an operator, a cast or an order that is a function of somebody's: any text may mean it. One in C that is not volatile changes nothing.
WITH made AS MATERIALIZED (
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE p.oid >= 16384 AND NOT (l.lanname = 'c' AND p.provolatile <> 'v')
), types AS MATERIALIZED (
    SELECT t.oid, t.typname FROM pg_catalog.pg_type t
    WHERE t.oid >= 16384 AND (t.typtype IN ('d', 'r', 'm') OR t.typtype = 'c' AND EXISTS (
        SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'
    ))
), uses AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid IN (SELECT oid FROM made)
    UNION SELECT d.classid, d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (
        SELECT oid FROM types UNION ALL SELECT t.oid FROM pg_catalog.pg_type t WHERE t.typelem IN (SELECT oid FROM types)
    )
), hiding AS MATERIALIZED (
    SELECT u.objid AS relation FROM uses u WHERE u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    UNION SELECT i.indrelid FROM uses u JOIN pg_catalog.pg_index i
        ON u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = u.objid
    UNION SELECT a.adrelid FROM uses u JOIN pg_catalog.pg_attrdef a
        ON u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = u.objid
    UNION SELECT k.conrelid FROM uses u JOIN pg_catalog.pg_constraint k
        ON u.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = u.objid
    UNION SELECT y.polrelid FROM uses u JOIN pg_catalog.pg_policy y
        ON u.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND y.oid = u.objid
), opened AS MATERIALIZED (
    SELECT d.refobjid AS relation FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid >= 16384 AND d.classid IN (
        'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
        'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
        'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, 'pg_catalog.pg_publication_rel'::pg_catalog.regclass
    )
    UNION SELECT k.conrelid FROM pg_catalog.pg_constraint k WHERE k.contype NOT IN ('p', 'u', 'f', 'n')
    UNION SELECT i.indrelid FROM pg_catalog.pg_index i WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
    )
    UNION SELECT a.adrelid FROM pg_catalog.pg_attrdef a JOIN pg_catalog.pg_attribute g
        ON g.attrelid = a.adrelid AND g.attnum = a.adnum AND g.attgenerated <> ''
)
SELECT
    c.relname AS name,
    c.relkind::text AS kind,
    CASE WHEN c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relhassubclass AND NOT c.relispartition
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
    THEN c.oid::int8 END AS alone,
    NOT c.relhasrules AND c.oid NOT IN (SELECT relation FROM hiding WHERE relation IS NOT NULL)
        AND NOT (c.relhastriggers AND (
            EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
            OR EXISTS (
                SELECT FROM pg_catalog.pg_constraint k
                WHERE k.contype = 'f' AND k.confrelid = c.oid AND (k.confupdtype NOT IN ('a', 'r') OR k.confdeltype NOT IN ('a', 'r'))
            )
        )) AS quiet,
    c.oid NOT IN (SELECT relation FROM opened WHERE relation IS NOT NULL) AS still
FROM pg_catalog.pg_class c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')
UNION ALL SELECT proname, 'p', NULL, false, false FROM pg_catalog.pg_proc WHERE oid >= 16384
UNION ALL SELECT typname, 'p', NULL, false, false FROM types
UNION ALL
SELECT c.relname, 'x', NULL, false, false FROM pg_catalog.pg_class c
WHERE c.relkind = 'v' AND c.oid >= 16384 AND EXISTS (SELECT FROM uses u WHERE u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass)
    OR c.relrowsecurity AND c.oid IN (SELECT relation FROM hiding)
UNION ALL SELECT evtname, 'e', NULL, false, false FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'
UNION ALL
SELECT '', 'e', NULL, false, false
WHERE EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprcode::oid IN (SELECT oid FROM made))
    OR EXISTS (SELECT FROM pg_catalog.pg_cast WHERE castfunc IN (SELECT oid FROM made))
    OR EXISTS (SELECT FROM pg_catalog.pg_amproc WHERE amproc::oid IN (SELECT oid FROM made))
