-- The user's own functions that claim to be harmless, with the text that they run: a label is only a claim.
SELECT p.proname::text AS name,
       pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.oidvectortypes(p.proargtypes)) AS signature,
       COALESCE(NULLIF(p.prosrc, ''), pg_catalog.pg_get_function_sqlbody(p.oid), '') AS body,
       l.lanname::text AS language
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language l ON l.oid = p.prolang
WHERE p.oid >= 16384 AND p.provolatile <> 'v' AND p.prokind IN ('f', 'w') AND l.lanname NOT IN ('c', 'internal')
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')
