-- Row-level security policies of the asked tables.
select
  p.polrelid::int8,
  p.polname,
  p.polcmd::text,
  p.polpermissive,
  case when p.polroles = '{0}' then null else array(
    select r.rolname::text from pg_roles r where r.oid = any(p.polroles) order by r.rolname
  ) end as roles,
  pg_get_expr(p.polqual, p.polrelid) as using,
  pg_get_expr(p.polwithcheck, p.polrelid) as check,
  obj_description(p.oid, 'pg_policy') as comment
from pg_policy p
where p.polrelid = any(%(relations)s::oid[]) and not p.polrelid = any(%(locked)s::oid[])
order by p.polrelid, p.polname
