-- Names of all that a statement could meet: relations and functions that are not Postgres' own, and event triggers (kind 'e').
-- `alone`: the OID of an ordinary table that is no part of another and has no parts. `quiet`: no trigger, rule or cascading key acts on it.
-- Functions are of kind 'p', and 'h' where one could be hidden behind what no text shows (hidden.sql): a trigger's runs as that alone, and
-- one in C that is not volatile changes nothing.
SELECT
    c.relname AS name,
    c.relkind::text AS kind,
    CASE WHEN c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relhassubclass AND NOT c.relispartition
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
    THEN c.oid::int8 END AS alone,
    NOT c.relhasrules
        AND NOT (c.relhastriggers AND EXISTS (
            SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
        ))
        AND NOT (c.relhastriggers AND EXISTS (
            SELECT FROM pg_catalog.pg_constraint k
            WHERE k.contype = 'f' AND k.confrelid = c.oid AND (k.confupdtype NOT IN ('a', 'r') OR k.confdeltype NOT IN ('a', 'r'))
        ))
    AS quiet
FROM pg_catalog.pg_class c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')
UNION ALL
SELECT
    p.proname,
    CASE WHEN p.prorettype IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
        OR p.provolatile <> 'v' AND p.prolang = (SELECT l.oid FROM pg_catalog.pg_language l WHERE l.lanname = 'c')
    THEN 'p' ELSE 'h' END,
    NULL,
    false
FROM pg_catalog.pg_proc p
WHERE p.oid >= 16384
UNION ALL SELECT evtname, 'e', NULL, false FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'
