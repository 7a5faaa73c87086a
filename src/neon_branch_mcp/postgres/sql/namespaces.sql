-- Schemas that no extension owns. What initdb granted on public is a default too.
select
  n.nspname,
  pg_get_userbyid(n.nspowner) as owner,
  obj_description(n.oid, 'pg_namespace') as comment,
  n.nspacl::text[] as acl,
  case when n.nspacl is not null then coalesce(i.initprivs, acldefault('n', n.nspowner))::text[] end as default_acl
from pg_namespace n
left join pg_init_privs i on i.classoid = 'pg_namespace'::regclass and i.objoid = n.oid and i.privtype = 'i'
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or n.nspname = any(%(schemas)s::text[]))
  and not exists (
    select from pg_depend d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e'
  )
order by n.nspname
