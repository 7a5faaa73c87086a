SELECT relation::int8, mode
FROM pg_catalog.pg_locks
WHERE pid = %(pid)s AND locktype = 'relation' AND granted AND relation >= 16384
    AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
