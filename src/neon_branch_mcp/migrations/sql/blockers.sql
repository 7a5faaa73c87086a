-- Who holds what the connection %(pid)s waits for, in words a person can act on.
SELECT a.pid, a.usename, a.application_name, a.state,
    pg_catalog.left(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'), 80) AS query
FROM pg_catalog.pg_stat_activity a
WHERE a.pid = ANY (pg_catalog.pg_blocking_pids(%(pid)s))
ORDER BY a.xact_start
