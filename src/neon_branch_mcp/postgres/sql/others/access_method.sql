select
  'access method', 'pg_am'::regclass, m.oid, '', m.amname, quote_ident(m.amname),
  format('CREATE ACCESS METHOD %%I TYPE %%s HANDLER %%s', m.amname, case m.amtype when 't' then 'TABLE' else 'INDEX' end, m.amhandler),
  null::oid, null::aclitem[], null::aclitem[]
from pg_am m
where m.oid >= 16384
