select
  'collation' as kind, 'pg_collation'::regclass as classid, c.oid, n.nspname as schema, c.collname as name,
  format('%%I.%%I', n.nspname, c.collname) as identity,
  format('CREATE COLLATION %%I.%%I (%%s)', n.nspname, c.collname, concat_ws(
    ', ',
    'provider = ' || case c.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
    case when c.collprovider = 'c' then 'lc_collate = ' || quote_literal(c.collcollate) || ', lc_ctype = ' || quote_literal(c.collctype) end,
    case when c.collprovider <> 'c' then
      'locale = ' || quote_literal(coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'collcollate'))
    end,
    case when not c.collisdeterministic then 'deterministic = false' end,
    'rules = ' || quote_literal(to_jsonb(c) ->> 'collicurules')
  )) as definition,
  c.collowner as owner, null::aclitem[] as acl, null::aclitem[] as usual
from pg_collation c join pg_namespace n on n.oid = c.collnamespace
where c.oid >= 16384
