select
  'user mapping', 'pg_user_mapping'::regclass, u.umid, '', format('%%s on %%s', u.usename, u.srvname),
  format('FOR %%s SERVER %%I', case u.umuser when 0 then 'PUBLIC' else quote_ident(u.usename) end, u.srvname),
  format(
    'CREATE USER MAPPING FOR %%s SERVER %%I%%s', case u.umuser when 0 then 'PUBLIC' else quote_ident(u.usename) end, u.srvname,
    ' OPTIONS (' || o.text || ')'
  ),
  null::oid, null::aclitem[], null::aclitem[]
from pg_user_mappings u left join options o on o.oid = u.umid
