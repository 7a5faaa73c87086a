-- Functions, procedures and aggregates of the asked schemas that no extension owns.
-- A body of SQL-standard form (BEGIN ATOMIC) is deparsed, which waits for the tables in it: left out where one is locked.
select
  p.oid::int8,
  n.nspname,
  p.proname,
  p.prokind::text,
  pg_get_function_identity_arguments(p.oid) as identity,
  pg_get_function_arguments(p.oid) as arguments,
  coalesce(pg_get_function_result(p.oid), '') as result,
  l.lanname,
  case when %(bodies)s and p.prokind <> 'a' and not (
    p.prosqlbody is not null and exists (
      select from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
        and d.refobjid = any(%(locked)s::oid[])
    )
  ) then pg_get_functiondef(p.oid) end as definition,
  p.provolatile::text,
  p.prosecdef,
  pg_get_userbyid(p.proowner) as owner,
  obj_description(p.oid, 'pg_proc') as comment,
  p.proacl::text[] as acl,
  case when p.proacl is not null then acldefault('f', p.proowner)::text[] end as default_acl
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or n.nspname = any(%(schemas)s::text[]))
  and (%(only)s::oid[] is null or p.oid = any(%(only)s::oid[]))
  and not exists (
    select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i')
  )
order by n.nspname, p.proname, 5
