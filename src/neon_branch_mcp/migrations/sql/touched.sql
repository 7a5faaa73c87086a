-- Asked on the migrating connection at the end: what its transaction did to the catalogue, as far as Postgres counts it. `written`: each
-- catalogue with the rows inserted, updated and deleted there, what was undone included. `altered`: relations whose row in pg_class is new.
SELECT
    pg_catalog.pg_current_snapshot()::text AS stamp,
    pg_catalog.current_setting('track_counts') AS counting,
    ARRAY(
        SELECT pg_catalog.concat_ws(' ', c.relname, w.inserted, w.updated, w.deleted)
        FROM pg_catalog.pg_class c
        CROSS JOIN LATERAL (
            SELECT
                pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
                pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated,
                pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
        ) w
        WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relkind = 'r' AND w.inserted + w.updated + w.deleted > 0
    ) AS written,
    ARRAY(
        SELECT c.oid::int8 FROM pg_catalog.pg_class c
        WHERE pg_catalog.age(c.xmin) <= pg_catalog.age(pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid)
    ) AS altered
