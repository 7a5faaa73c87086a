SELECT version()
SELECT current_setting('server_version_num')::int >= 140000
SELECT pg_postmaster_start_time(), now() - pg_postmaster_start_time() AS uptime
SELECT name, setting, unit, context, source FROM pg_settings WHERE source NOT IN ('default', 'override') ORDER BY name
SELECT name, current_setting(name) FROM unnest(ARRAY['work_mem', 'shared_buffers', 'max_connections']) AS name
SELECT datname, pg_size_pretty(pg_database_size(datname)) AS size FROM pg_database ORDER BY pg_database_size(datname) DESC
SELECT relname, n_live_tup, n_dead_tup, round(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0), 2) AS dead_pct FROM pg_stat_user_tables ORDER BY n_dead_tup DESC
SELECT schemaname || '.' || relname AS t, seq_scan, idx_scan, CASE WHEN seq_scan + idx_scan > 0 THEN idx_scan::float / (seq_scan + idx_scan) END FROM pg_stat_user_tables
SELECT indexrelid::regclass AS index, idx_scan, pg_size_pretty(pg_relation_size(indexrelid)) FROM pg_stat_user_indexes WHERE idx_scan = 0 ORDER BY pg_relation_size(indexrelid) DESC
SELECT pid, usename, state, wait_event_type, wait_event, now() - query_start AS running, left(query, 60) FROM pg_stat_activity WHERE state <> 'idle' ORDER BY running DESC NULLS LAST
SELECT pid, age(clock_timestamp(), xact_start) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND query NOT ILIKE '%pg_stat_activity%'
SELECT blocked.pid AS blocked_pid, blocking.pid AS blocking_pid, blocked.query FROM pg_stat_activity blocked JOIN LATERAL unnest(pg_blocking_pids(blocked.pid)) AS b(pid) ON true JOIN pg_stat_activity blocking ON blocking.pid = b.pid
SELECT locktype, relation::regclass, mode, granted, pid FROM pg_locks WHERE relation IS NOT NULL ORDER BY granted, pid
SELECT count(*) FILTER (WHERE state = 'active') AS active, count(*) FILTER (WHERE state = 'idle') AS idle, count(*) AS total FROM pg_stat_activity
SELECT sum(blks_hit)::numeric / nullif(sum(blks_hit) + sum(blks_read), 0) AS hit_ratio FROM pg_stat_database
SELECT datname, xact_commit, xact_rollback, deadlocks, temp_files, pg_size_pretty(temp_bytes) FROM pg_stat_database WHERE datname IS NOT NULL
SELECT c.oid::regclass AS t, age(c.relfrozenxid) FROM pg_class c WHERE c.relkind IN ('r', 't', 'm') ORDER BY 2 DESC LIMIT 10
SELECT datname, age(datfrozenxid), current_setting('autovacuum_freeze_max_age') FROM pg_database
SELECT relname, last_vacuum, last_autovacuum, last_analyze, vacuum_count FROM pg_stat_all_tables WHERE schemaname = 'public'
SELECT n.nspname, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'users'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
SELECT conname, contype, pg_get_constraintdef(oid, true) FROM pg_constraint WHERE conrelid = 'public.orders'::regclass
SELECT tc.table_name, kcu.column_name, ccu.table_name AS foreign_table FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage kcu USING (constraint_schema, constraint_name) JOIN information_schema.constraint_column_usage ccu USING (constraint_schema, constraint_name) WHERE tc.constraint_type = 'FOREIGN KEY'
SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef NOT LIKE '%UNIQUE%'
SELECT i.relname, array_agg(a.attname ORDER BY x.ord) FROM pg_index ix CROSS JOIN LATERAL unnest(ix.indkey::int[]) WITH ORDINALITY AS x(attnum, ord) JOIN pg_class i ON i.oid = ix.indexrelid JOIN pg_attribute a ON a.attrelid = ix.indrelid AND a.attnum = x.attnum GROUP BY i.relname
SELECT e.enumlabel FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typname = 'order_status' ORDER BY e.enumsortorder
SELECT p.proname, pg_get_function_identity_arguments(p.oid), l.lanname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'
SELECT tgname, tgrelid::regclass, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'
SELECT schemaname, sequencename, last_value, max_value FROM pg_sequences
SELECT pg_get_serial_sequence('users', 'id')
SELECT extname, extversion FROM pg_extension ORDER BY 1
SELECT * FROM pg_available_extensions WHERE installed_version IS NULL ORDER BY name LIMIT 20
SELECT rolname, rolsuper, rolcreatedb, rolcanlogin, ARRAY(SELECT b.rolname FROM pg_auth_members m JOIN pg_roles b ON m.roleid = b.oid WHERE m.member = r.oid) AS memberof FROM pg_roles r ORDER BY 1
SELECT grantee, privilege_type FROM information_schema.role_table_grants WHERE table_name = 'users'
SELECT has_table_privilege('users', 'SELECT'), has_schema_privilege('public', 'CREATE')
SELECT * FROM pg_policies
SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
SELECT attname, n_distinct, null_frac, most_common_vals::text, correlation FROM pg_stats WHERE tablename = 'users'
SELECT pg_column_size(u.*) AS bytes, u.id FROM users u ORDER BY 1 DESC LIMIT 5
SELECT avg(pg_column_size(t)) FROM orders t
SELECT reltuples::bigint, relpages FROM pg_class WHERE oid = 'order_items'::regclass
SELECT * FROM pg_stat_bgwriter
SELECT * FROM pg_stat_wal
SELECT * FROM pg_stat_replication
SELECT * FROM pg_replication_slots
SELECT * FROM pg_stat_progress_vacuum
SELECT * FROM pg_stat_progress_create_index
SELECT * FROM pg_prepared_xacts
SELECT pg_is_in_recovery(), pg_current_wal_lsn()
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')
SELECT * FROM pg_timezone_names WHERE name LIKE 'Europe/%' LIMIT 5
SELECT txid_current_if_assigned(), pg_current_snapshot()
SELECT backend_type, count(*) FROM pg_stat_activity GROUP BY 1
SELECT client_addr, count(*) FROM pg_stat_activity GROUP BY client_addr HAVING count(*) >= 1
SELECT pg_describe_object(classid, objid, objsubid), deptype FROM pg_depend WHERE refobjid = 'users'::regclass
SELECT conrelid::regclass, conname FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.conrelid AND (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey)
SELECT pg_size_pretty(sum(pg_relation_size(oid))) FROM pg_class WHERE relkind = 'i'
SELECT nspname, count(*) FROM pg_class JOIN pg_namespace n ON relnamespace = n.oid GROUP BY 1 ORDER BY 2 DESC
SELECT 'DROP INDEX ' || indexrelid::regclass || ';' FROM pg_stat_user_indexes WHERE idx_scan = 0
SELECT format('ALTER TABLE %I.%I SET (autovacuum_enabled = off);', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public'
SELECT column_name FROM information_schema.columns WHERE column_default LIKE 'nextval(%' OR is_identity = 'YES'
SELECT query FROM pg_stat_activity WHERE query ~* '(update|delete|insert)\s' AND pid <> pg_backend_pid()
SELECT obj_description('users'::regclass), col_description('users'::regclass, 6)
SELECT c.relname, c.reloptions FROM pg_class c WHERE c.reloptions IS NOT NULL
SELECT a.attrelid::regclass, a.attname FROM pg_attribute a WHERE a.attidentity <> '' OR a.attgenerated <> ''
SELECT oid::regprocedure FROM pg_proc WHERE proname = 'lower'
SELECT '{1259,1249}'::oid[]::regclass[]
SELECT array_agg(oid::regclass) FROM pg_class WHERE relname = ANY ('{users,orders}'::name[])
SELECT array_agg(conrelid)::regclass[] FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace
SELECT proargtypes::regtype[] FROM pg_proc WHERE proname = 'substr' LIMIT 2
SELECT to_regclass('public.nope') IS NULL, to_regtype('order_status')
SELECT (aclexplode(relacl)).* FROM pg_class WHERE relname = 'users'
SELECT (regexp_matches(pg_get_viewdef(c.oid), 'FROM\s+(\w+)'))[1] FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace = 'public'::regnamespace
SELECT row_number() OVER (), * FROM pg_tablespace
SELECT pg_stat_get_live_tuples('users'::regclass), pg_stat_get_dead_tuples('users'::regclass)
SELECT bucket, count(*) FROM (SELECT width_bucket(reltuples, 0, 10000, 10) AS bucket FROM pg_class WHERE reltuples >= 0) s GROUP BY bucket ORDER BY bucket
WITH fk AS (SELECT conrelid, confrelid FROM pg_constraint WHERE contype = 'f') SELECT conrelid::regclass, confrelid::regclass FROM fk
WITH RECURSIVE deps AS (SELECT 'users'::regclass::oid AS oid, 0 AS depth UNION SELECT c.conrelid, d.depth + 1 FROM pg_constraint c JOIN deps d ON c.confrelid = d.oid WHERE c.contype = 'f' AND d.depth < 5) SELECT oid::regclass, depth FROM deps
SHOW server_version
SHOW ALL
SHOW work_mem
SHOW max_connections
SHOW timezone
SHOW default_transaction_isolation
SHOW "TimeZone"
EXPLAIN SELECT * FROM users WHERE city = 'Oslo'
EXPLAIN (ANALYZE, BUFFERS, VERBOSE) SELECT count(*) FROM orders JOIN order_items ON order_id = id
EXPLAIN (COSTS OFF) UPDATE users SET name = upper(name)
EXPLAIN (FORMAT YAML) DELETE FROM orders WHERE id < 10
EXPLAIN ANALYZE SELECT max(id) FROM users
