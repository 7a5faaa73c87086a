select
  'operator', 'pg_operator'::regclass, o.oid, n.nspname, o.oprname,
  format(
    '%%I.%%s (%%s, %%s)', n.nspname, o.oprname,
    coalesce(format_type(nullif(o.oprleft, 0), null), 'NONE'), coalesce(format_type(nullif(o.oprright, 0), null), 'NONE')
  ),
  format('CREATE OPERATOR %%I.%%s (%%s)', n.nspname, o.oprname, concat_ws(
    ', ',
    'FUNCTION = ' || nullif(o.oprcode::oid, 0)::regproc,
    'LEFTARG = ' || format_type(nullif(o.oprleft, 0), null),
    'RIGHTARG = ' || format_type(nullif(o.oprright, 0), null),
    (
      select format('COMMUTATOR = OPERATOR(%%I.%%s)', cn.nspname, co.oprname)
      from pg_operator co join pg_namespace cn on cn.oid = co.oprnamespace where co.oid = o.oprcom
    ),
    (
      select format('NEGATOR = OPERATOR(%%I.%%s)', cn.nspname, co.oprname)
      from pg_operator co join pg_namespace cn on cn.oid = co.oprnamespace where co.oid = o.oprnegate
    ),
    case when o.oprcanmerge then 'MERGES' end,
    case when o.oprcanhash then 'HASHES' end,
    'RESTRICT = ' || nullif(o.oprrest::oid, 0)::regproc,
    'JOIN = ' || nullif(o.oprjoin::oid, 0)::regproc
  )),
  o.oprowner, null::aclitem[], null::aclitem[]
from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
where o.oid >= 16384 and o.oprcode::oid <> 0
