select
  'text search parser', 'pg_ts_parser'::regclass, p.oid, n.nspname, p.prsname, format('%%I.%%I', n.nspname, p.prsname),
  format(
    'CREATE TEXT SEARCH PARSER %%I.%%I (START = %%s, GETTOKEN = %%s, END = %%s%%s, LEXTYPES = %%s)', n.nspname, p.prsname, p.prsstart,
    p.prstoken, p.prsend, ', HEADLINE = ' || nullif(p.prsheadline::oid, 0)::regproc, p.prslextype
  ),
  null::oid, null::aclitem[], null::aclitem[]
from pg_ts_parser p join pg_namespace n on n.oid = p.prsnamespace
where p.oid >= 16384
