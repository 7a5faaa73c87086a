-- Changes whenever anything that the other guard_*.sql read may have changed: every update of a row gives it a new xmin.
SELECT pg_catalog.current_setting('transaction_read_only') AS read_only,
       pg_catalog.concat_ws('/',
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_proc WHERE oid >= 16384),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_operator WHERE oid >= 16384),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_cast WHERE oid >= 16384),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_amproc WHERE oid >= 16384),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_rewrite WHERE oid >= 16384),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_policy WHERE oid >= 16384),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(oid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_constraint WHERE contypid <> 0),
           (SELECT pg_catalog.count(*)::text || ':' || pg_catalog.sum(pg_catalog.hashtext(ftrelid::text || ',' || xmin::text))::text
            FROM pg_catalog.pg_foreign_table)
       ) AS stamp
