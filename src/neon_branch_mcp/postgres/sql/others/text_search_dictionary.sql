select
  'text search dictionary', 'pg_ts_dict'::regclass, d.oid, n.nspname, d.dictname, format('%%I.%%I', n.nspname, d.dictname),
  format(
    'CREATE TEXT SEARCH DICTIONARY %%I.%%I (TEMPLATE = %%I.%%I%%s)', n.nspname, d.dictname, tn.nspname, t.tmplname, ', ' || d.dictinitoption
  ),
  d.dictowner, null::aclitem[], null::aclitem[]
from pg_ts_dict d join pg_namespace n on n.oid = d.dictnamespace
join pg_ts_template t on t.oid = d.dicttemplate join pg_namespace tn on tn.oid = t.tmplnamespace
where d.oid >= 16384
