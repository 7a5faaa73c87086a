-- What calls a function without being written as a call, with that function's name and whether it is VOLATILE; what a view reads; and
-- what stands for another server's rows.
WITH RECURSIVE function_of AS (
    -- pg_depend does not record functions that are built in, so the expressions themselves are read.
    SELECT c.contypid AS type, m[1]::pg_catalog.oid AS function
    FROM pg_catalog.pg_constraint c,
         pg_catalog.regexp_matches(c.conbin::text, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
    WHERE c.contypid >= 16384
), checked AS (
    SELECT t.oid, t.typname, t.typrelid, false AS deep, d.function FROM function_of d JOIN pg_catalog.pg_type t ON t.oid = d.type
    UNION
    -- A domain of it, an array, a range, a row type with such a column. `deep`: a literal becomes one while the statement is parsed.
    SELECT t.oid, t.typname, t.typrelid, x.deep OR t.typbasetype <> x.oid, x.function
    FROM checked x
    JOIN pg_catalog.pg_type t ON t.typbasetype = x.oid OR t.typelem = x.oid
                              OR EXISTS (SELECT FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid AND r.rngsubtype = x.oid)
                              OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
                                         WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.atttypid = x.oid)
), behind AS (
    SELECT 'operator' AS kind, o.oprname::text AS name, o.oprcode::pg_catalog.oid AS function
    FROM pg_catalog.pg_operator o
    WHERE o.oid >= 16384
      -- A symbol that everybody uses, for types of the user's own: those types are the sign, not the symbol.
      AND (GREATEST(o.oprleft, o.oprright) < 16384
           OR NOT EXISTS (SELECT FROM pg_catalog.pg_operator b WHERE b.oid < 16384 AND b.oprname = o.oprname))
    UNION
    SELECT 'aggregate', p.proname::text, f.oid
    FROM pg_catalog.pg_aggregate a
    JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid
    JOIN pg_catalog.pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn,
                                           a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
    WHERE p.oid >= 16384
    UNION
    -- Only a cast to a checked type checks, reading does not; and columns are often named like their domain.
    SELECT 'checked', t.typname::text, t.function FROM checked t
    UNION
    -- What is given to a function, or compared with such a column, is cast without a word of it in the text or the plan.
    SELECT 'function', p.proname::text, t.function
    FROM checked t
    JOIN pg_catalog.pg_proc p ON t.oid = p.prorettype OR t.oid = ANY (p.proargtypes) OR t.oid = ANY (p.proallargtypes)
    WHERE p.oid >= 16384
    UNION
    SELECT 'type', r.relname::text, t.function
    FROM checked t
    JOIN pg_catalog.pg_attribute a ON a.atttypid = t.oid
    JOIN pg_catalog.pg_class r ON r.oid = a.attrelid
    WHERE t.deep AND r.relkind <> 'c'
    UNION
    -- Both the type and the tables that have a column of it: a cast of a column need not name its type, and EXPLAIN does not show it.
    -- The same for the functions that sort, hash and compare values of a type.
    SELECT x.kind, x.name, c.function
    FROM (
        SELECT c.castfunc AS function, t.oid AS type, t.typname, t.typarray
        FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_type t ON t.oid IN (c.castsource, c.casttarget) AND t.oid >= 16384
        WHERE c.oid >= 16384
        UNION
        SELECT o.oprcode, t.oid, t.typname, t.typarray
        FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_type t ON t.oid IN (o.oprleft, o.oprright) AND t.oid >= 16384
        WHERE o.oid >= 16384
        UNION
        SELECT s.amproc, t.oid, t.typname, t.typarray
        FROM pg_catalog.pg_amproc s JOIN pg_catalog.pg_type t ON t.oid = s.amproclefttype AND t.oid >= 16384
        WHERE s.oid >= 16384
        UNION
        -- Planning a comparison of ranges measures distances, by what ANALYZE has found.
        SELECT f.function, t.oid, t.typname, t.typarray
        FROM pg_catalog.pg_range r
        JOIN pg_catalog.pg_type t ON t.oid IN (r.rngtypid, r.rngmultitypid) AND t.oid >= 16384
        CROSS JOIN LATERAL (VALUES (r.rngsubdiff::pg_catalog.oid), (r.rngcanonical::pg_catalog.oid)) AS f (function)
    ) c
    CROSS JOIN LATERAL (
        SELECT 'type' AS kind, c.typname::text AS name
        UNION
        SELECT 'type', r.relname::text FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid
        WHERE a.atttypid IN (c.type, c.typarray) AND r.relkind <> 'c'
        UNION
        -- `f()::int` names no type.
        SELECT 'function', p.proname::text
        FROM pg_catalog.pg_proc p
        WHERE p.oid >= 16384 AND ARRAY[c.type, c.typarray] && (p.prorettype || p.proargtypes::pg_catalog.oid[] || p.proallargtypes)
    ) AS x
    UNION
    -- Planning a statement computes what is constant in a table's indexes and checks.
    SELECT 'type', c.relname::text, m[1]::pg_catalog.oid
    FROM (
        SELECT indrelid AS relation, pg_catalog.concat(indexprs::text, indpred::text) AS expressions
        FROM pg_catalog.pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
        UNION ALL
        SELECT conrelid, conbin::text FROM pg_catalog.pg_constraint WHERE conrelid <> 0 AND conbin IS NOT NULL
    ) e
    JOIN pg_catalog.pg_class c ON c.oid = e.relation AND c.oid >= 16384,
         pg_catalog.regexp_matches(e.expressions, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
    UNION
    SELECT 'planned', c.relname::text, m[1]::pg_catalog.oid
    FROM (
        SELECT stxrelid AS relation, stxexprs::text AS expressions FROM pg_catalog.pg_statistic_ext WHERE stxexprs IS NOT NULL
        UNION ALL
        SELECT partrelid, partexprs::text FROM pg_catalog.pg_partitioned_table WHERE partexprs IS NOT NULL
        UNION ALL
        SELECT adrelid, adbin::text FROM pg_catalog.pg_attrdef
        UNION ALL
        SELECT a.attrelid, t.typdefaultbin::text
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.atttypid = t.oid WHERE t.typdefaultbin IS NOT NULL
        UNION ALL
        SELECT polrelid, polwithcheck::text FROM pg_catalog.pg_policy WHERE polwithcheck IS NOT NULL
        UNION ALL
        SELECT ev_class, ev_qual::text FROM pg_catalog.pg_rewrite WHERE ev_type <> '1' AND oid >= 16384
    ) e
    JOIN pg_catalog.pg_class c ON c.oid = e.relation AND c.oid >= 16384,
         pg_catalog.regexp_matches(e.expressions, ':(?:funcid|opfuncid) (\d{5,})', 'g') AS m
    UNION
    SELECT 'function', p.proname::text, m[1]::pg_catalog.oid
    FROM pg_catalog.pg_proc p, pg_catalog.regexp_matches(p.proargdefaults::text, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
    WHERE p.oid >= 16384 AND p.proargdefaults IS NOT NULL
    UNION
    SELECT 'field', p.proname::text, p.oid
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0]
    WHERE p.oid >= 16384 AND p.prokind = 'f' AND p.pronargs - p.pronargdefaults <= 1 AND (t.typtype IN ('c', 'p') OR t.typbasetype <> 0)
    UNION
    SELECT k.kind, c.relname::text, m[1]::pg_catalog.oid
    FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_class c ON c.oid = w.ev_class,
         pg_catalog.regexp_matches(w.ev_action::text, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS m,
         (VALUES ('relation'), ('shown')) AS k (kind)
    WHERE w.oid >= 16384 AND (k.kind = 'relation' OR w.ev_type = '1')
    UNION
    SELECT 'relation', c.relname::text, m[1]::pg_catalog.oid
    FROM pg_catalog.pg_policy l JOIN pg_catalog.pg_class c ON c.oid = l.polrelid,
         pg_catalog.regexp_matches(l.polqual::text, ':(?:funcid|opfuncid) (\d+)', 'g') AS m
)
SELECT b.kind, b.name, f.proname::text AS behind, f.provolatile = 'v' AS volatile
FROM behind b JOIN pg_catalog.pg_proc f ON f.oid = b.function
WHERE b.function >= 16384 OR f.provolatile = 'v'
UNION
SELECT 'view', c.relname::text, r.relname::text, false
FROM pg_catalog.pg_rewrite w
JOIN pg_catalog.pg_class c ON c.oid = w.ev_class
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = w.oid
                           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> w.ev_class
JOIN pg_catalog.pg_class r ON r.oid = d.refobjid
WHERE w.oid >= 16384
UNION
-- Planning a query of a parent plans its children.
SELECT 'view', p.relname::text, c.relname::text, false
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
WHERE p.relkind IN ('r', 'p', 'f')
UNION
SELECT 'foreign', c.relname::text, '', false
FROM pg_catalog.pg_foreign_table t JOIN pg_catalog.pg_class c ON c.oid = t.ftrelid
