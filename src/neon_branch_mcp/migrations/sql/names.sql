-- Names of all that a statement could meet: relations, functions and schemas that are not Postgres' own.
SELECT relname FROM pg_catalog.pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'i', 'I', 'S')
UNION SELECT proname FROM pg_catalog.pg_proc WHERE oid >= 16384
