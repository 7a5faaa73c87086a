-- Sets the time-outs of this transaction ($2: statements, $3: locks, $4: idling), or fails where it is not read-only or the catalogue is
-- no longer what was judged ($1). What was sent with it then never runs. Around guard_stamp.sql. What it also says, the transactions that
-- are visible and the search_path, tells guard_open_quiet.sql later that nothing was committed; on a standby it does not
-- (pg_current_snapshot leaves out those still running that KnownAssignedXids holds), and nothing is said.
SELECT CASE WHEN now.read_only OPERATOR(pg_catalog.=) 'on' AND now.stamp OPERATOR(pg_catalog.=) $1
            THEN pg_catalog.concat(pg_catalog.set_config('statement_timeout', $2, true),
                                   pg_catalog.set_config('lock_timeout', $3, true),
                                   pg_catalog.set_config('idle_in_transaction_session_timeout', $4, true))
            ELSE (now.read_only OPERATOR(pg_catalog.||) ', or another catalogue')::pg_catalog.bool::pg_catalog.text
       END,
       CASE WHEN NOT pg_catalog.pg_is_in_recovery()
            THEN pg_catalog.concat(pg_catalog.pg_current_snapshot(), ' ', pg_catalog.current_setting('search_path')) END
FROM (
{stamp}
) AS now
