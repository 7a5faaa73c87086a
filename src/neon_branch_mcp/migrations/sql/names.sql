-- Names of all that a statement could meet: relations and functions that are not Postgres' own. `quiet`: the OID of an ordinary table that is
-- no part of another and has no parts, and on which no trigger, rule or cascading key acts: who writes to it changes nothing else.
-- Functions are of kind 'p', event triggers of kind 'e'.
SELECT
    c.relname AS name,
    c.relkind::text AS kind,
    CASE WHEN c.relkind = 'r' AND c.relpersistence <> 't' AND NOT c.relhasrules AND NOT c.relhassubclass AND NOT c.relispartition
        AND NOT (c.relhastriggers AND EXISTS (
            SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
        ))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid)
        AND NOT (c.relhastriggers AND EXISTS (
            SELECT FROM pg_catalog.pg_constraint k
            WHERE k.contype = 'f' AND k.confrelid = c.oid AND (k.confupdtype NOT IN ('a', 'r') OR k.confdeltype NOT IN ('a', 'r'))
        ))
    THEN c.oid::int8 END AS quiet
FROM pg_catalog.pg_class c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')
UNION ALL SELECT proname, 'p', NULL FROM pg_catalog.pg_proc WHERE oid >= 16384
UNION ALL SELECT evtname, 'e', NULL FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'
