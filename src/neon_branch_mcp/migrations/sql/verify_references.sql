-- Foreign keys of one column: which column points at which.
select con.conrelid::int8, own.attname::text, con.confrelid::int8, far.attname::text
from pg_catalog.pg_constraint con
join pg_catalog.pg_attribute own on own.attrelid = con.conrelid and own.attnum = con.conkey[1]
join pg_catalog.pg_attribute far on far.attrelid = con.confrelid and far.attnum = con.confkey[1]
where con.contype = 'f' and cardinality(con.conkey) = 1
