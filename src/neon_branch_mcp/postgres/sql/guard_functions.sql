-- Volatile functions, procedures and aggregates by name; whose they are: built in, of an extension, or the user's own (its signature).
-- An aggregate is as volatile as the functions it is made of: pg_proc calls every aggregate immutable.
WITH made_of AS (
    SELECT p.oid, p.proname, p.pronamespace, p.proargtypes,
           p.provolatile = 'v' OR EXISTS (
               SELECT FROM pg_catalog.pg_aggregate a
               JOIN pg_catalog.pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                                      a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
               WHERE a.aggfnoid = p.oid AND f.provolatile = 'v'
           ) AS volatile
    FROM pg_catalog.pg_proc p
)
SELECT name, whose FROM (
    SELECT m.proname::text AS name,
           CASE WHEN m.oid < 16384 THEN 'built in'
                WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d
                             WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = m.oid AND d.deptype = 'e')
                THEN 'extension'
                ELSE pg_catalog.format('%I.%I(%s)', n.nspname, m.proname, pg_catalog.oidvectortypes(m.proargtypes))
           END AS whose
    FROM made_of m JOIN pg_catalog.pg_namespace n ON n.oid = m.pronamespace
    WHERE m.volatile
) AS found
-- Later rows win in the reader: a user's own function over an extension's over a built-in of the same name.
ORDER BY CASE whose WHEN 'built in' THEN 1 WHEN 'extension' THEN 2 ELSE 3 END, name
