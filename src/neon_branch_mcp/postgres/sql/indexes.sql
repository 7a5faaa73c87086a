-- Indexes of the asked relations that no constraint owns.
select
  x.indexrelid::int8,
  x.indrelid::int8,
  i.relname,
  case when x.indrelid = any(%(locked)s::oid[]) then null else pg_get_indexdef(x.indexrelid) end as definition,
  x.indisunique,
  x.indisvalid and x.indisready,
  pn.nspname as parent_schema,
  p.relname as parent_name,
  (
    select jsonb_agg(jsonb_build_array(a.attnum, a.attstattarget) order by a.attnum)
    from pg_attribute a where a.attrelid = x.indexrelid and coalesce(a.attstattarget, -1) <> -1
  ) as statistics,
  x.indisclustered,
  x.indisreplident,
  obj_description(x.indexrelid, 'pg_class') as comment
from pg_index x
join pg_class i on i.oid = x.indexrelid
left join pg_inherits h on h.inhrelid = x.indexrelid
left join pg_class p on p.oid = h.inhparent
left join pg_namespace pn on pn.oid = p.relnamespace
where x.indrelid = any(%(relations)s::oid[])
  and not exists (select from pg_constraint c where c.conindid = x.indexrelid and c.contype in ('p', 'u', 'x'))
order by x.indrelid, i.relname
