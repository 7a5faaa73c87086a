select
  'statistics', 'pg_statistic_ext'::regclass, s.oid, n.nspname, s.stxname, format('%%I.%%I', n.nspname, s.stxname),
  case when not s.stxrelid = any(%(locked)s::oid[]) then pg_get_statisticsobjdef(s.oid) || case
    when coalesce(s.stxstattarget, -1) <> -1
    then format(E';\nALTER STATISTICS %%I.%%I SET STATISTICS %%s', n.nspname, s.stxname, s.stxstattarget) else ''
  end end,
  s.stxowner, null::aclitem[], null::aclitem[]
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
