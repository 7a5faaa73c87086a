-- Enums, domains, composite types and ranges of the asked schemas that no extension owns.
select
  t.oid::int8,
  n.nspname,
  t.typname,
  t.typtype::text,
  t.typrelid::int8,
  (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as values,
  case when t.typtype = 'd' then format_type(t.typbasetype, t.typtypmod) end as base,
  t.typnotnull,
  case when t.typtype = 'd' then coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)) end as default,
  case when t.typtype = 'd' and t.typcollation <> b.typcollation then (
    select quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
    from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace where co.oid = t.typcollation
  ) end as collation,
  case when t.typtype = 'r' then concat_ws(
    ', ',
    'subtype = ' || format_type(r.rngsubtype, null),
    'multirange_type_name = ' || r.rngmultitypid::regtype::text,
    (
      select 'subtype_opclass = ' || quote_ident(opn.nspname) || '.' || quote_ident(op.opcname)
      from pg_opclass op join pg_namespace opn on opn.oid = op.opcnamespace where op.oid = r.rngsubopc and not op.opcdefault
    ),
    (
      select 'collation = ' || quote_ident(cn.nspname) || '.' || quote_ident(co.collname)
      from pg_collation co join pg_namespace cn on cn.oid = co.collnamespace
      join pg_type st on st.oid = r.rngsubtype
      where co.oid = r.rngcollation and r.rngcollation <> st.typcollation
    ),
    'canonical = ' || nullif(r.rngcanonical::oid, 0)::regproc::text,
    'subtype_diff = ' || nullif(r.rngsubdiff::oid, 0)::regproc::text
  ) end as range,
  pg_get_userbyid(t.typowner) as owner,
  obj_description(t.oid, 'pg_type') as comment,
  t.typacl::text[] as acl,
  case when t.typacl is not null then acldefault('T', t.typowner)::text[] end as default_acl
from pg_type t
join pg_namespace n on n.oid = t.typnamespace
left join pg_type b on b.oid = t.typbasetype
left join pg_range r on r.rngtypid = t.oid
where (t.typtype in ('e', 'd', 'r') or t.typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or n.nspname = any(%(schemas)s::text[]))
  and (%(only)s::oid[] is null or t.oid = any(%(only)s::oid[]))
  and not exists (
    select from pg_depend d where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
  )
order by n.nspname, t.typname
