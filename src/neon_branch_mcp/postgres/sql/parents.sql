-- The tables that the asked tables inherit from. A partition has all its columns itself.
select distinct i.inhparent::int8
from pg_inherits i
join pg_class c on c.oid = i.inhrelid
where i.inhrelid = any(%(only)s::oid[]) and not c.relispartition
