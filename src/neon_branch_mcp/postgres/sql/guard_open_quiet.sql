-- As guard_open.sql, where nothing was committed since that one ran in this session: the same transactions are visible ($1), so the catalogue
-- is the same, and with the same search_path (its default may come from a file that was read again) a text means the same. Working the
-- stamp out takes many times as long. Fails where it is not so, or where this transaction is not read-only.
SELECT CASE WHEN pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on'
                 AND pg_catalog.concat(pg_catalog.pg_current_snapshot(), ' ', pg_catalog.current_setting('search_path')) OPERATOR(pg_catalog.=) $1
            THEN pg_catalog.concat(pg_catalog.set_config('statement_timeout', $2, true),
                                   pg_catalog.set_config('lock_timeout', $3, true),
                                   pg_catalog.set_config('idle_in_transaction_session_timeout', $4, true))
            ELSE pg_catalog.concat('other transactions than ', $1)::pg_catalog.bool::pg_catalog.text
       END
