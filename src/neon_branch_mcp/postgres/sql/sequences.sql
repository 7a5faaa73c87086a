-- Sequences of the asked schemas, with the column that owns them: deptype i is an identity column's, a is OWNED BY.
select
  c.oid::int8,
  n.nspname,
  c.relname,
  format_type(s.seqtypid, null) as type,
  s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
  c.relpersistence = 'u' as unlogged,
  d.deptype = 'i' as identity,
  d.refobjid::int8 as owner_relation,
  rn.nspname as owner_schema,
  r.relname as owner_table,
  a.attname as owner_column,
  pg_get_userbyid(c.relowner) as owner,
  obj_description(c.oid, 'pg_class') as comment,
  c.relacl::text[] as acl,
  case when c.relacl is not null then acldefault('s', c.relowner)::text[] end as default_acl
from pg_sequence s
join pg_class c on c.oid = s.seqrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
  and d.deptype in ('a', 'i') and d.refobjsubid > 0
left join pg_class r on r.oid = d.refobjid
left join pg_namespace rn on rn.oid = r.relnamespace
left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or n.nspname = any(%(schemas)s::text[]) or d.deptype = 'i')
  and (%(only)s::oid[] is null or c.oid = any(%(only)s::oid[]) or d.refobjid = any(%(only)s::oid[]))
  and not exists (
    select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
  )
order by n.nspname, c.relname
