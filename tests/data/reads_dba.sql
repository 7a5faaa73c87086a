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
SELECT pid, usename, datname, client_addr, application_name, backend_start, xact_start, query_start, state_change, wait_event_type, wait_event, state, backend_xid, backend_xmin, query_id, left(query, 200) AS query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY xact_start NULLS LAST
SELECT schemaname, relname, indexrelname, idx_scan, idx_tup_read, idx_tup_fetch, pg_size_pretty(pg_relation_size(i.indexrelid)) AS size, indisunique, indisprimary FROM pg_stat_user_indexes i JOIN pg_index USING (indexrelid) WHERE idx_scan < 50 AND NOT indisunique ORDER BY pg_relation_size(i.indexrelid) DESC
SELECT relname, relkind, age(relfrozenxid) AS xid_age, mxid_age(relminmxid) AS mxid_age, pg_size_pretty(pg_table_size(oid)), current_setting('autovacuum_freeze_max_age')::int - age(relfrozenxid) AS left FROM pg_class WHERE relkind IN ('r', 'm', 't') AND relfrozenxid <> 0 ORDER BY 3 DESC LIMIT 20
SELECT slot_name, plugin, slot_type, database, active, active_pid, xmin, catalog_xmin, restart_lsn, confirmed_flush_lsn, wal_status, safe_wal_size, pg_size_pretty(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) AS lag FROM pg_replication_slots
SELECT application_name, client_addr, state, sync_state, sent_lsn, write_lsn, flush_lsn, replay_lsn, pg_wal_lsn_diff(sent_lsn, replay_lsn) AS byte_lag, write_lag, flush_lag, replay_lag FROM pg_stat_replication
SELECT CASE WHEN pg_is_in_recovery() THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp()) ELSE 0 END AS lag_seconds, pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()
SELECT subname, subenabled, subslotname, subpublications FROM pg_subscription
SELECT srsubid, srrelid::regclass, srsubstate, srsublsn FROM pg_subscription_rel
SELECT pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate FROM pg_publication p LEFT JOIN pg_publication_tables t USING (pubname) GROUP BY 1, 2, 3, 4, 5, 6
SELECT queryid, calls, total_exec_time, mean_exec_time, rows FROM pg_catalog.pg_class c, LATERAL (SELECT 1::bigint AS queryid, 1 AS calls, 1.0 AS total_exec_time, 1.0 AS mean_exec_time, 1 AS rows) s WHERE c.relname = 'pg_class'
SELECT nspname || '.' || relname AS relation, pg_size_pretty(pg_total_relation_size(c.oid)) AS total, pg_size_pretty(pg_relation_size(c.oid, 'main')) AS main, pg_size_pretty(pg_relation_size(c.oid, 'vm')) AS vm, pg_size_pretty(pg_relation_size(c.oid, 'fsm')) AS fsm, pg_size_pretty(coalesce(pg_total_relation_size(nullif(reltoastrelid, 0)), 0)) AS toast FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind <> 'i' AND nspname !~ '^pg_toast' ORDER BY pg_total_relation_size(c.oid) DESC LIMIT 20
SELECT c.relname, a.attname, s.n_distinct, s.correlation, s.most_common_freqs[1:3], array_length(s.most_common_vals::text::text[], 1) FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = s.attname WHERE s.schemaname = 'public' AND s.n_distinct BETWEEN 1 AND 50
SELECT conrelid::regclass AS table_name, conname, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred FROM pg_constraint WHERE NOT convalidated OR contype = 'x'
SELECT locktype, database, relation::regclass, page, tuple, virtualxid, transactionid, classid, granted, fastpath, waitstart, l.pid, mode, a.state FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE NOT granted
SELECT name, setting, unit, boot_val, reset_val, pending_restart, short_desc FROM pg_settings WHERE category LIKE 'Autovacuum%' OR name ~ '^(work_mem|shared_buffers|effective_cache_size|maintenance_work_mem|random_page_cost)$'
SELECT pg_size_bytes('10 GB') / current_setting('block_size')::int AS blocks, pg_size_pretty(pg_size_bytes(current_setting('shared_buffers'))) AS sb
SELECT setdatabase, setrole::regrole, unnest(setconfig) FROM pg_db_role_setting
SELECT r.rolname, r.rolconnlimit, r.rolvaliduntil, array_agg(m.rolname) FILTER (WHERE m.rolname IS NOT NULL) AS member_of, shobj_description(r.oid, 'pg_authid') FROM pg_roles r LEFT JOIN pg_auth_members am ON am.member = r.oid LEFT JOIN pg_roles m ON m.oid = am.roleid WHERE r.rolname !~ '^pg_' GROUP BY r.oid, 1, 2, 3
SELECT n.nspname, c.relname, (aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))).grantee::regrole, (aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))).privilege_type FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'
SELECT has_table_privilege(r.rolname, c.oid, 'SELECT, INSERT'), has_column_privilege('users', 'name', 'SELECT'), has_function_privilege('lower(text)', 'EXECUTE'), has_database_privilege(current_database(), 'CONNECT'), pg_has_role('pg_monitor', 'USAGE') FROM pg_roles r, pg_class c WHERE c.relname = 'users' LIMIT 3
SELECT backend_type, object, context, reads, hits, evictions, extends, fsyncs FROM pg_stat_io WHERE reads > 0 OR hits > 0 ORDER BY hits DESC NULLS LAST
SELECT num_timed, num_requested, write_time, sync_time, buffers_written, stats_reset FROM pg_stat_checkpointer
SELECT wal_records, wal_fpi, pg_size_pretty(wal_bytes), wal_buffers_full, wal_write FROM pg_stat_wal
SELECT * FROM pg_ls_waldir() ORDER BY modification DESC LIMIT 5
SELECT count(*), pg_size_pretty(sum(size)) FROM pg_ls_waldir()
SELECT archived_count, last_archived_wal, failed_count, last_failed_time, extract(epoch FROM now() - last_archived_time)::int FROM pg_stat_archiver
SELECT pg_walfile_name(pg_current_wal_lsn()), pg_walfile_name_offset(pg_current_wal_lsn()), pg_current_wal_insert_lsn() - '0/0'::pg_lsn
SELECT datname, numbackends, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, conflicts, temp_bytes, checksum_failures, session_time, active_time, sessions_abandoned, sessions_killed FROM pg_stat_database ORDER BY numbackends DESC
SELECT funcid::regprocedure, calls, total_time, self_time FROM pg_stat_user_functions ORDER BY self_time DESC
SELECT relid::regclass, heap_blks_read, heap_blks_hit, idx_blks_hit, toast_blks_hit, tidx_blks_hit FROM pg_statio_all_tables WHERE schemaname NOT LIKE 'pg\_%' ESCAPE '\'
SELECT pid, relid::regclass, command, phase, lockers_total, lockers_done, blocks_total, blocks_done, tuples_total, tuples_done, partitions_total FROM pg_stat_progress_create_index
SELECT * FROM pg_stat_progress_analyze UNION ALL SELECT * FROM pg_stat_progress_analyze
SELECT pid, datname, relid, command, type, bytes_processed, bytes_total, tuples_processed FROM pg_stat_progress_copy
SELECT pid, phase, backup_total, backup_streamed FROM pg_stat_progress_basebackup
SELECT gid, prepared, owner, database, transaction AS xmin, age(now(), prepared) FROM pg_prepared_xacts ORDER BY age(transaction) DESC
SELECT name, statement, parameter_types, from_sql, generic_plans FROM pg_prepared_statements
SELECT name, level, total_bytes, free_bytes, used_bytes FROM pg_backend_memory_contexts ORDER BY total_bytes DESC LIMIT 10
SELECT name, off, size, allocated_size FROM pg_shmem_allocations ORDER BY size DESC LIMIT 5
SELECT c.oid::regclass, pg_relation_filepath(c.oid), pg_relation_filenode(c.oid), c.reltablespace, spcname, pg_tablespace_location(t.oid) FROM pg_class c LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.relname = 'users'
SELECT inhparent::regclass AS parent, inhrelid::regclass AS child, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
SELECT relid, parentrelid, isleaf, level FROM pg_partition_tree('users')
SELECT pg_partition_root('users'), pg_get_partkeydef('users'::regclass)
SELECT schemaname, sequencename, data_type, last_value, round(100.0 * last_value / max_value, 4) AS used_pct FROM pg_sequences ORDER BY 5 DESC NULLS LAST
SELECT seqrelid::regclass, seqstart, seqincrement, seqmax, seqcycle, pg_sequence_last_value(seqrelid) FROM pg_sequence
SELECT d.refobjid::regclass AS table_name, s.relname AS sequence_name, a.attname FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.refobjid, d.refobjsubid) WHERE s.relkind = 'S'
WITH RECURSIVE dep AS (SELECT classid, objid, refclassid, refobjid, deptype, 1 AS depth FROM pg_depend WHERE refobjid = 'users'::regclass UNION ALL SELECT d.classid, d.objid, d.refclassid, d.refobjid, d.deptype, dep.depth + 1 FROM pg_depend d JOIN dep ON d.refobjid = dep.objid AND d.refclassid = dep.classid WHERE dep.depth < 3) SELECT DISTINCT pg_describe_object(classid, objid, 0), (pg_identify_object(classid, objid, 0)).type, depth FROM dep ORDER BY depth, 1
SELECT ev_class::regclass, rulename, pg_get_ruledef(oid, true) FROM pg_rewrite WHERE rulename <> '_RETURN'
SELECT event_object_table, trigger_name, action_timing, string_agg(event_manipulation, ' OR '), action_statement FROM information_schema.triggers GROUP BY 1, 2, 3, 5
SELECT evtname, evtevent, evtenabled, evtfoid::regproc, evttags FROM pg_event_trigger
SELECT n.nspname, p.proname, pg_get_function_result(p.oid), pg_get_function_arguments(p.oid), pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public' AND p.prokind = 'f' LIMIT 5
SELECT p.proname, p.provolatile, p.proisstrict, p.proparallel, p.prosecdef, p.proconfig, md5(p.prosrc) FROM pg_proc p WHERE p.prosecdef AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
SELECT t.typname, t.typtype, format_type(t.typbasetype, t.typtypmod), pg_get_constraintdef(c.oid) FROM pg_type t LEFT JOIN pg_constraint c ON c.contypid = t.oid WHERE t.typtype = 'd' AND t.typnamespace = 'public'::regnamespace
SELECT stxname, stxkeys, stxkind, pg_get_statisticsobjdef(s.oid), stxdndistinct FROM pg_statistic_ext s LEFT JOIN pg_statistic_ext_data d ON d.stxoid = s.oid
SELECT collname, collprovider, collversion, pg_collation_actual_version(oid) FROM pg_collation WHERE collprovider <> 'd' AND collversion IS DISTINCT FROM pg_collation_actual_version(oid) LIMIT 5
SELECT datname, datcollate, datcollversion, pg_database_collation_actual_version(oid), pg_encoding_to_char(encoding), datallowconn, datconnlimit FROM pg_database
SELECT objtype, objname, provider, label FROM pg_seclabels
SELECT l.lanname, l.lanpltrusted, h.proname FROM pg_language l LEFT JOIN pg_proc h ON h.oid = l.lanplcallfoid
SELECT am.amname, opc.opcname, opf.opfname, pg_indexam_has_property(am.oid, 'can_order'), opc.opcintype::regtype FROM pg_am am JOIN pg_opclass opc ON opc.opcmethod = am.oid JOIN pg_opfamily opf ON opf.oid = opc.opcfamily WHERE opcdefault LIMIT 10
SELECT i.indexrelid::regclass, a.n, pg_get_indexdef(i.indexrelid, a.n, true), pg_index_column_has_property(i.indexrelid, a.n, 'asc') FROM pg_index i, generate_series(1, i.indnkeyatts) AS a(n) WHERE i.indrelid = 'orders'::regclass
SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid OR NOT indisready OR NOT indislive
SELECT srvname, srvoptions, fdwname, fdwoptions FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
SELECT foreign_table_name, foreign_server_name FROM information_schema.foreign_tables
SELECT loid, count(*), sum(length(data)) FROM pg_largeobject GROUP BY loid ORDER BY 3 DESC LIMIT 10
SELECT oid, lomowner::regrole FROM pg_largeobject_metadata
SELECT pg_table_is_visible(oid), pg_get_userbyid(relowner), relhasindex, relispartition, relrowsecurity FROM pg_class WHERE relname = 'orders'
SELECT clock_timestamp() - pg_postmaster_start_time() AS uptime, pg_conf_load_time(), inet_server_addr(), inet_server_port(), inet_client_addr(), pg_backend_pid(), txid_current_snapshot()
SELECT sum(CASE WHEN state = 'idle in transaction' THEN 1 ELSE 0 END) AS idle_tx, max(extract(epoch FROM now() - state_change)) FILTER (WHERE state LIKE 'idle in%') AS oldest FROM pg_stat_activity
SELECT count(*) AS used, current_setting('max_connections')::int AS max, current_setting('superuser_reserved_connections')::int AS reserved, round(100.0 * count(*) / current_setting('max_connections')::int, 1) AS pct FROM pg_stat_activity
SELECT format('REINDEX INDEX CONCURRENTLY %I.%I;', schemaname, indexrelname) FROM pg_stat_user_indexes ORDER BY pg_relation_size(indexrelid) DESC
SELECT 'VACUUM (ANALYZE) ' || quote_ident(schemaname) || '.' || quote_ident(relname) || ';' FROM pg_stat_user_tables WHERE n_dead_tup > 1000
SELECT string_agg(format('SELECT setval(%L, (SELECT max(%I) FROM %s));', s.oid::regclass, a.attname, d.refobjid::regclass), E'\n') FROM pg_class s JOIN pg_depend d ON d.objid = s.oid JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE s.relkind = 'S'
SELECT a.pid, s.ssl, s.version, s.cipher, s.bits FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
SHOW shared_preload_libraries
SHOW log_min_duration_statement;
SHOW session authorization
EXPLAIN (ANALYZE, BUFFERS, SETTINGS, WAL, SUMMARY) SELECT u.city, count(*) FROM users u JOIN orders o ON o.user_id = u.id GROUP BY 1 ORDER BY 2 DESC LIMIT 10
EXPLAIN (ANALYZE, SERIALIZE TEXT, MEMORY) SELECT * FROM products
EXPLAIN (ANALYZE, TIMING OFF, FORMAT YAML) TABLE users
EXPLAIN VERBOSE VALUES (1), (2)
EXPLAIN (COSTS OFF, VERBOSE ON) WITH x AS MATERIALIZED (SELECT * FROM users) SELECT * FROM x WHERE id = 1
EXPLAIN INSERT INTO orders (user_id, status) SELECT id, 'paid' FROM users
EXPLAIN (FORMAT XML) MERGE INTO users u USING orders o ON u.id = o.user_id WHEN MATCHED THEN UPDATE SET name = u.name
EXPLAIN ANALYZE SELECT * FROM generate_series(1, 10) g(x) WHERE x % 2 = 0
explain select * from pg_stat_activity
SELECT pg_get_viewdef('pg_stat_activity'::regclass, true), pg_get_viewdef('pg_catalog.pg_locks')
SELECT pg_input_is_valid('2024-13-01', 'date'), (pg_input_error_info('abc', 'integer')).message
SELECT pg_char_to_encoding('UTF8'), pg_client_encoding(), getdatabaseencoding(), pg_size_pretty(pg_tablespace_size('pg_default'))
SELECT pg_xact_commit_timestamp(xmin) FROM users LIMIT 0
SELECT xmin::text::bigint, xmax, cmin, cmax, ctid FROM users WHERE ctid = '(0,1)'
SELECT pg_snapshot_xmin(pg_current_snapshot()), pg_visible_in_snapshot('100'::xid8, pg_current_snapshot()), age('100'::xid)
SELECT wait_event_type, wait_event, count(*) FROM pg_stat_activity GROUP BY GROUPING SETS ((wait_event_type), (wait_event_type, wait_event))
SELECT type, name, description FROM pg_wait_events WHERE type = 'Lock'
SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relkind = ANY (ARRAY['r', 'p', 'v', 'm', 'f']::"char"[]) AND c.relnamespace <> ALL (ARRAY['pg_catalog', 'information_schema']::regnamespace[])
SELECT now() - stats_reset AS since, * FROM pg_stat_bgwriter
SELECT slru.name, blks_zeroed, blks_hit, blks_read FROM pg_stat_slru AS slru
SELECT pg_control_checkpoint(), (pg_control_system()).system_identifier, (pg_control_recovery()).min_recovery_end_lsn
