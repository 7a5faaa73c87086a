-- Triggers of the asked relations that are not Postgres' own. WHEN opens the table, so a locked table's are left out.
select
  t.tgrelid::int8,
  t.tgname,
  pg_get_triggerdef(t.oid) as definition,
  t.tgfoid::regproc::text as function,
  t.tgenabled::text,
  t.tgparentid <> 0 as inherited,
  obj_description(t.oid, 'pg_trigger') as comment
from pg_trigger t
where t.tgrelid = any(%(relations)s::oid[])
  and (not t.tgisinternal or t.tgparentid <> 0 and exists (select from pg_trigger p where p.oid = t.tgparentid and not p.tgisinternal))
  and not t.tgrelid = any(%(locked)s::oid[])
order by t.tgrelid, t.tgname
