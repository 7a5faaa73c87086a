select
  'cast', 'pg_cast'::regclass, c.oid, '', format('%%s AS %%s', format_type(c.castsource, null), format_type(c.casttarget, null)),
  format('(%%s AS %%s)', format_type(c.castsource, null), format_type(c.casttarget, null)),
  format(
    'CREATE CAST (%%s AS %%s) %%s%%s', format_type(c.castsource, null), format_type(c.casttarget, null),
    case c.castmethod when 'i' then 'WITH INOUT' when 'b' then 'WITHOUT FUNCTION' else 'WITH FUNCTION ' || c.castfunc::regprocedure end,
    case c.castcontext when 'a' then ' AS ASSIGNMENT' when 'i' then ' AS IMPLICIT' end
  ),
  null::oid, null::aclitem[], null::aclitem[]
from pg_cast c
where c.oid >= 16384
