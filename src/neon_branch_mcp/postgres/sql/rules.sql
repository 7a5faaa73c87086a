-- Rules of the asked relations but a view's own SELECT rule.
select
  r.oid::int8,
  r.ev_class::int8,
  r.rulename,
  pg_get_ruledef(r.oid) as definition,
  r.ev_enabled::text,
  obj_description(r.oid, 'pg_rewrite') as comment
from pg_rewrite r
where r.ev_class = any(%(relations)s::oid[])
  and r.rulename <> '_RETURN'
  and not r.ev_class = any(%(locked)s::oid[])
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_class'::regclass
      and d.refobjid = any(%(locked)s::oid[])
  )
order by r.ev_class, r.rulename
