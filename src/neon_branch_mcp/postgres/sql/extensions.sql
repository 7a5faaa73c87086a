-- Extensions but plpgsql as it comes, with the number of objects that belong to each.
select
  e.extname,
  e.extversion,
  n.nspname,
  obj_description(e.oid, 'pg_extension') as comment,
  (select count(*) from pg_depend d where d.refclassid = 'pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e')
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
where e.extname <> 'plpgsql'
order by e.extname
