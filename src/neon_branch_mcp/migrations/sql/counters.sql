-- Asked before BEGIN. `newest`: relations with a greater OID are not there yet. Counters of earlier transactions of this session that are
-- not flushed yet would be taken for the next one's.
SELECT m.newest::int8, counters.*
FROM (SELECT pg_catalog.max(oid) AS newest FROM pg_catalog.pg_class) m
LEFT JOIN (
    SELECT
        c.oid::int8 AS oid,
        pg_catalog.pg_stat_get_xact_tuples_returned(c.oid) AS read,
        pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
        pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated,
        pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
    FROM pg_catalog.pg_class c
    WHERE c.relkind IN ('r', 'm') AND c.oid >= 16384
) counters ON counters.read + counters.inserted + counters.updated + counters.deleted > 0
