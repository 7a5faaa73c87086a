-- Changes whenever anything that holds the functions which the other guard_*.sql find may have changed: every update of a row gives it a
-- new xmin. Runs under the caller's own search_path, so even operators say their schema: somebody else's would be called with our rights.
SELECT pg_catalog.current_setting('transaction_read_only') AS read_only,
       pg_catalog.concat_ws('/',
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_operator WHERE oid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_cast WHERE oid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_amproc WHERE oid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_rewrite WHERE oid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_policy WHERE oid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                oid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_constraint WHERE contypid OPERATOR(pg_catalog.<>) 0),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                ftrelid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_foreign_table)
       ) AS stamp
