-- Where a function of somebody's can be run by a statement that does not name it. Kind 'r' is a table whose default, check, index, type or
-- policy calls one; 'x' a view, or a table with policies, that calls one when it is read; 't' a type that may check its values with one;
-- 'e' an operator, a cast or an order that is one: then any text may mean it.
WITH made AS MATERIALIZED (
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE p.oid >= 16384 AND NOT (l.lanname = 'c' AND p.provolatile <> 'v')
        AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
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
)
SELECT c.relname AS name, 'r' AS kind FROM hiding h JOIN pg_catalog.pg_class c ON c.oid = h.relation
UNION ALL SELECT typname, 't' FROM types
UNION ALL
SELECT c.relname, 'x' FROM pg_catalog.pg_class c
WHERE c.relkind = 'v' AND c.oid >= 16384 AND EXISTS (SELECT FROM uses u WHERE u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass)
    OR c.relrowsecurity AND c.oid IN (SELECT relation FROM hiding)
UNION ALL
SELECT '', 'e'
WHERE EXISTS (SELECT FROM pg_catalog.pg_operator WHERE oprcode::oid IN (SELECT oid FROM made))
    OR EXISTS (SELECT FROM pg_catalog.pg_cast WHERE castfunc IN (SELECT oid FROM made))
    OR EXISTS (SELECT FROM pg_catalog.pg_amproc WHERE amproc::oid IN (SELECT oid FROM made))
