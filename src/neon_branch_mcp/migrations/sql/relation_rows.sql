-- Some rows of pg_class but what a new column, an index, a trigger, new rows or a VACUUM change in them and no schema shows.
SELECT pg_catalog.md5(pg_catalog.string_agg(ROW(
    c.oid, c.relname, c.relnamespace, c.reltype, c.reloftype, c.relowner, c.relam, c.reltablespace, c.relpersistence, c.relkind,
    c.relrowsecurity, c.relforcerowsecurity, c.relispopulated, c.relreplident, c.relispartition, c.relacl, c.reloptions, c.relpartbound,
    c.reltoastrelid
)::text, ',' ORDER BY c.oid))
FROM pg_catalog.pg_class c
WHERE c.oid = ANY (%(oids)s::oid[])
