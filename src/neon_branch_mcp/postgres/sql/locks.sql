-- Relations whose AccessExclusiveLock another session holds or waits for (either makes a reader wait), and views over them.
with held as (
  select distinct l.relation
  from pg_locks l
  where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid <> pg_backend_pid()
    and l.database = (select oid from pg_database where datname = current_database())
)
select h.relation::int8 from held h
union
select r.ev_class::int8
from held h
join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = h.relation and d.classid = 'pg_rewrite'::regclass
join pg_rewrite r on r.oid = d.objid and r.rulename = '_RETURN'
