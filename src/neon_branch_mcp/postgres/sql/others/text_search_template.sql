select
  'text search template', 'pg_ts_template'::regclass, t.oid, n.nspname, t.tmplname, format('%%I.%%I', n.nspname, t.tmplname),
  format(
    'CREATE TEXT SEARCH TEMPLATE %%I.%%I (%%sLEXIZE = %%s)', n.nspname, t.tmplname, 'INIT = ' || nullif(t.tmplinit::oid, 0)::regproc || ', ',
    t.tmpllexize
  ),
  null::oid, null::aclitem[], null::aclitem[]
from pg_ts_template t join pg_namespace n on n.oid = t.tmplnamespace
where t.oid >= 16384
