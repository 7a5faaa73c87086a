-- Asked on the migrating connection after a statement: every lock on a user's relation that the transaction holds, what the relation looks
-- like now, and what was read and changed there in this transaction. A relation that was dropped has a lock but no name. The answer is made
-- of these rows in several ways, with a JSON text per line and checks (ahead.py).
-- Relations beyond {newest} were made by this migration itself; nobody waits for their locks, and nothing in them can be lost. The number
-- stands in the text, for without parameters Postgres plans the prepared question only once.
-- `doubt`: a transaction with a later number has ended, which may be a subtransaction of this one that was rolled back; Postgres counts
-- its changes all the same. `acts`: triggers or rules do more than a statement says.
WITH held AS (
    SELECT relation, pg_catalog.array_agg(DISTINCT mode) AS modes
    FROM pg_catalog.pg_locks
    WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation' AND granted AND relation >= 16384
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND relation <= {newest}
    GROUP BY relation
)
SELECT {answer} FROM (
    SELECT
        h.relation::int8 AS oid,
        h.modes,
        c.relkind IS NOT NULL AS present,
        n.nspname AS schema,
        c.relname AS name,
        pg_catalog.pg_relation_filenode(c.oid)::int8 AS filenode,
        pg_catalog.pg_stat_get_xact_tuples_returned(h.relation) AS read,
        pg_catalog.pg_stat_get_xact_tuples_inserted(h.relation) AS inserted,
        pg_catalog.pg_stat_get_xact_tuples_updated(h.relation) AS updated,
        pg_catalog.pg_stat_get_xact_tuples_deleted(h.relation) AS deleted,
        COALESCE(
            pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) > pg_catalog.pg_current_xact_id_if_assigned(), false
        ) AS doubt,
        COALESCE(c.relhasrules OR (c.relhastriggers AND EXISTS (
            SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
        )), false) AS acts,
        CASE WHEN 'AccessExclusiveLock' = ANY (h.modes) AND c.relkind IN ('r', 'p') THEN (
            SELECT COALESCE(pg_catalog.json_object_agg(
                a.attnum, pg_catalog.json_build_array(a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
            ), '{}')
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        ) END AS columns
    FROM held h
    LEFT JOIN pg_catalog.pg_class c ON c.oid = h.relation
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
) t
