-- Changes whenever anything that the other guard_*.sql find may have changed: every update of a row gives it a new xmin. Of types, children
-- and relations (but for tables that use nothing of the user's own) their names count, and of what columns and expressions use (defaults,
-- indexes, checks, statistics) what pg_depend says: all but what is built in, which does not change.
-- What else changes there, rows that are moved or rights given, is no reason to read it again.
-- Runs under the caller's own search_path, so even operators say their schema: somebody else's would be called with our rights.
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
            FROM pg_catalog.pg_constraint WHERE contypid OPERATOR(pg_catalog.>=) 16384),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                ftrelid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) xmin::pg_catalog.text)))
            FROM pg_catalog.pg_foreign_table),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(pg_catalog.hashtext(
                inhrelid::pg_catalog.text OPERATOR(pg_catalog.||) ',' OPERATOR(pg_catalog.||) inhparent::pg_catalog.text)))
            FROM pg_catalog.pg_inherits),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(
                pg_catalog.hashoid(oid) OPERATOR(pg_catalog.#) pg_catalog.hashname(relname)))
            FROM pg_catalog.pg_class
            WHERE oid OPERATOR(pg_catalog.>=) 16384 AND relkind OPERATOR(pg_catalog.<>) 'i' AND relpersistence OPERATOR(pg_catalog.<>) 't'
              AND (relkind OPERATOR(pg_catalog.<>) ALL ('{r,S,t}'::pg_catalog."char"[])
                   OR relhassubclass OR relhasrules OR relrowsecurity OR relchecks OPERATOR(pg_catalog.>) 0
                   OR oid OPERATOR(pg_catalog.=) ANY (
                      SELECT COALESCE(i.indrelid, a.adrelid, s.stxrelid, d.objid)
                      FROM pg_catalog.pg_depend d
                      LEFT JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) d.objid
                           AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
                      LEFT JOIN pg_catalog.pg_attrdef a ON a.oid OPERATOR(pg_catalog.=) d.objid
                           AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                      LEFT JOIN pg_catalog.pg_statistic_ext s ON s.oid OPERATOR(pg_catalog.=) d.objid
                           AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
                      WHERE d.refclassid OPERATOR(pg_catalog.=) ANY (
                                '{pg_catalog.pg_proc,pg_catalog.pg_operator,pg_catalog.pg_type}'::pg_catalog.regclass[]::pg_catalog.oid[])
                        AND d.refobjid OPERATOR(pg_catalog.>=) 16384 AND d.deptype OPERATOR(pg_catalog.<>) 'i'))),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(
                pg_catalog.hashoid(oid) OPERATOR(pg_catalog.#) pg_catalog.hashname(typname)))
            FROM pg_catalog.pg_type WHERE oid OPERATOR(pg_catalog.>=) 16384
                                      AND typrelid OPERATOR(pg_catalog.=) 0 AND typcategory OPERATOR(pg_catalog.<>) 'A'),
           (SELECT pg_catalog.concat(pg_catalog.count(*), ':', pg_catalog.sum(
                pg_catalog.hashoid(refobjid) OPERATOR(pg_catalog.#) pg_catalog.hashint8(
                    objid::pg_catalog.int8 OPERATOR(pg_catalog.*) 65536 OPERATOR(pg_catalog.+) objsubid)))
            FROM pg_catalog.pg_depend
            WHERE refclassid OPERATOR(pg_catalog.=) ANY (
                      '{pg_catalog.pg_proc,pg_catalog.pg_operator,pg_catalog.pg_type}'::pg_catalog.regclass[]::pg_catalog.oid[])
              AND refobjid OPERATOR(pg_catalog.>=) 16384 AND deptype OPERATOR(pg_catalog.<>) 'i')
       ) AS stamp
