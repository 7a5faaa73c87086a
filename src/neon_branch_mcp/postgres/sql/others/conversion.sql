select
  'conversion', 'pg_conversion'::regclass, c.oid, n.nspname, c.conname, format('%%I.%%I', n.nspname, c.conname),
  format(
    'CREATE%%s CONVERSION %%I.%%I FOR %%L TO %%L FROM %%s', case when c.condefault then ' DEFAULT' end, n.nspname, c.conname,
    pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc
  ),
  c.conowner, null::aclitem[], null::aclitem[]
from pg_conversion c join pg_namespace n on n.oid = c.connamespace
where c.oid >= 16384
