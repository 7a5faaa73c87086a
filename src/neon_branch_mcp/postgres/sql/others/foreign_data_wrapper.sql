select
  'foreign data wrapper', 'pg_foreign_data_wrapper'::regclass, w.oid, '', w.fdwname, quote_ident(w.fdwname),
  format(
    'CREATE FOREIGN DATA WRAPPER %%I%%s%%s%%s', w.fdwname, ' HANDLER ' || nullif(w.fdwhandler::oid, 0)::regproc,
    ' VALIDATOR ' || nullif(w.fdwvalidator::oid, 0)::regproc, ' OPTIONS (' || o.text || ')'
  ),
  w.fdwowner, w.fdwacl, acldefault('F', w.fdwowner)
from pg_foreign_data_wrapper w left join options o on o.oid = w.oid
