select
  'transform', 'pg_transform'::regclass, t.oid, '', format('%%s, %%s', format_type(t.trftype, null), l.lanname),
  format('FOR %%s LANGUAGE %%I', format_type(t.trftype, null), l.lanname),
  format(
    'CREATE TRANSFORM FOR %%s LANGUAGE %%I (%%s)', format_type(t.trftype, null), l.lanname, concat_ws(
      ', ', 'FROM SQL WITH FUNCTION ' || nullif(t.trffromsql::oid, 0)::regprocedure,
      'TO SQL WITH FUNCTION ' || nullif(t.trftosql::oid, 0)::regprocedure
    )
  ),
  null::oid, null::aclitem[], null::aclitem[]
from pg_transform t join pg_language l on l.oid = t.trflang
