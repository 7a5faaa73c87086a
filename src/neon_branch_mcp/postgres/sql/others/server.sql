select
  'server', 'pg_foreign_server'::regclass, s.oid, '', s.srvname, quote_ident(s.srvname),
  format(
    'CREATE SERVER %%I%%s%%s FOREIGN DATA WRAPPER %%I%%s', s.srvname, ' TYPE ' || quote_literal(s.srvtype),
    ' VERSION ' || quote_literal(s.srvversion), w.fdwname, ' OPTIONS (' || o.text || ')'
  ),
  s.srvowner, s.srvacl, acldefault('S', s.srvowner)
from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw left join options o on o.oid = s.oid
