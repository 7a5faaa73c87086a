select
  'default privileges', 'pg_default_acl'::regclass, a.oid, coalesce(n.nspname, ''),
  format('%%s of %%s', o.objects, pg_get_userbyid(a.defaclrole)), '',
  format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I%%s ', pg_get_userbyid(a.defaclrole), ' IN SCHEMA ' || quote_ident(n.nspname)),
  null::oid, a.defaclacl, case when a.defaclnamespace = 0 then acldefault(
    case a.defaclobjtype when 'S' then 's' else a.defaclobjtype end, a.defaclrole
  ) end
from pg_default_acl a left join pg_namespace n on n.oid = a.defaclnamespace
cross join lateral (
  select case a.defaclobjtype
    when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES' when 'n' then 'SCHEMAS' else 'LARGE OBJECTS'
  end as objects
) o
