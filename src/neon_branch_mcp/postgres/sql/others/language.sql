select
  'language', 'pg_language'::regclass, l.oid, '', l.lanname, quote_ident(l.lanname),
  format(
    'CREATE%%s LANGUAGE %%I%%s%%s%%s', case when l.lanpltrusted then ' TRUSTED' end, l.lanname,
    ' HANDLER ' || nullif(l.lanplcallfoid, 0)::regproc, ' INLINE ' || nullif(l.laninline, 0)::regproc,
    ' VALIDATOR ' || nullif(l.lanvalidator, 0)::regproc
  ),
  l.lanowner, l.lanacl, acldefault('l', l.lanowner)
from pg_language l
where l.oid >= 16384
