-- Constraints of the asked tables and domains, and foreign keys of other tables that point at the asked tables.
-- Columns of asked tables are given by number, of others by name.
-- Only a check's definition opens the table; where another session has it locked, the definition is left out.
select
  c.oid::int8,
  c.conrelid::int8,
  c.contypid::int8,
  c.conname,
  c.contype::text,
  case when c.conrelid = any(%(locked)s::oid[]) and c.contype not in ('p', 'u', 'f', 'n') then null else pg_get_constraintdef(c.oid) end,
  c.conkey::int[],
  case when not c.conrelid = any(%(relations)s::oid[]) then (
    select array_agg(a.attname::text order by k.ord)
    from unnest(c.conkey) with ordinality k(num, ord) join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.num
  ) end as columns,
  c.confrelid::int8,
  fn.nspname as ref_schema,
  f.relname as ref_table,
  c.confkey::int[],
  case when not c.confrelid = any(%(relations)s::oid[]) then (
    select array_agg(a.attname::text order by k.ord)
    from unnest(c.confkey) with ordinality k(num, ord) join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.num
  ) end as ref_columns,
  not c.conislocal or c.conparentid <> 0 as inherited,
  obj_description(c.oid, 'pg_constraint') as comment,
  i.reloptions as index_options,
  x.indisclustered and c.contype <> 'f',
  x.indisreplident and c.contype <> 'f',
  x.indisprimary and c.contype = 'f' as ref_primary,
  rn.nspname as table_schema,
  coalesce(r.relname, (select t.typname from pg_type t where t.oid = c.contypid)) as table_name
from pg_constraint c
left join pg_class r on r.oid = c.conrelid
left join pg_namespace rn on rn.oid = r.relnamespace
left join pg_class f on f.oid = c.confrelid
left join pg_namespace fn on fn.oid = f.relnamespace
left join pg_class i on i.oid = c.conindid and c.contype in ('p', 'u', 'x')
left join pg_index x on x.indexrelid = c.conindid
where c.conrelid = any(%(relations)s::oid[])
  or c.contypid = any(%(types)s::oid[]) and c.contypid <> 0
  or c.contype = 'f' and c.conparentid = 0 and c.confrelid = any(%(relations)s::oid[])
order by c.conrelid, c.contypid, c.contype <> 'p', c.contype, c.conname
