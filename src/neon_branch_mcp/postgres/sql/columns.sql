-- Columns of the asked relations. What few columns have is one jsonb, null for most.
-- Only a generated column's expression names others, for which the table is opened; where another session has that locked, it is left out.
select
  a.attrelid::int8,
  a.attname,
  format_type(a.atttypid, a.atttypmod) as type,
  a.attnotnull,
  case
    when not a.atthasdef then null
    when a.attgenerated = '' then pg_get_expr(d.adbin, 0)
    when not a.attrelid = any(%(locked)s::oid[]) then pg_get_expr(d.adbin, d.adrelid)
  end as default,
  case
    when a.attidentity <> '' or a.attgenerated <> '' or not a.attislocal or a.attacl is not null
      or a.attoptions is not null or a.attfdwoptions is not null or o.description is not null
      or a.attcollation <> t.typcollation or a.attstorage <> t.typstorage or a.attcompression <> ''
      or coalesce(a.attstattarget, -1) <> -1
    then jsonb_build_object(
      'identity', a.attidentity,
      'generated', a.attgenerated,
      'collation', (
        select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
        from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
        where co.oid = a.attcollation and a.attcollation <> t.typcollation
      ),
      'storage', case when a.attstorage <> t.typstorage then a.attstorage end,
      'compression', nullif(a.attcompression, ''),
      'statistics', nullif(coalesce(a.attstattarget, -1), -1),
      'options', a.attoptions,
      'fdw_options', a.attfdwoptions,
      'comment', o.description,
      'acl', a.attacl::text[],
      'inherited', not a.attislocal
    )
  end as detail,
  a.attnum
from pg_attribute a
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_description o on o.classoid = 'pg_class'::regclass and o.objoid = a.attrelid and o.objsubid = a.attnum
where a.attrelid = any(%(relations)s::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum
