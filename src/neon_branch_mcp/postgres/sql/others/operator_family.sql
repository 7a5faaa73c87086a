-- Families that no operator class of the same name brings with it, and those with members of their own: what GiST calls optional, or ADDed.
select
  'operator family', 'pg_opfamily'::regclass, f.oid, n.nspname, f.opfname, format('%%I.%%I USING %%I', n.nspname, f.opfname, m.amname),
  concat_ws(
    e';\n',
    format('CREATE OPERATOR FAMILY %%I.%%I USING %%I', n.nspname, f.opfname, m.amname),
    format('ALTER OPERATOR FAMILY %%I.%%I USING %%I ADD ', n.nspname, f.opfname, m.amname) || loose.members
  ),
  f.opfowner, null::aclitem[], null::aclitem[]
from pg_opfamily f join pg_namespace n on n.oid = f.opfnamespace join pg_am m on m.oid = f.opfmethod
cross join lateral (
  select nullif(concat_ws(
    ', ',
    (
      select string_agg(
        format('OPERATOR %%s %%s', a.amopstrategy, a.amopopr::regoperator)
          || case when sf.oid is null then '' else format(' FOR ORDER BY %%I.%%I', sn.nspname, sf.opfname) end,
        ', ' order by a.amopstrategy, a.amopopr::regoperator::text
      )
      from pg_depend d join pg_amop a on a.oid = d.objid
      left join pg_opfamily sf on sf.oid = a.amopsortfamily left join pg_namespace sn on sn.oid = sf.opfnamespace
      where d.classid = 'pg_amop'::regclass and d.refclassid = 'pg_opfamily'::regclass and d.refobjid = f.oid and a.amopfamily = f.oid
    ),
    (
      select string_agg(
        format('FUNCTION %%s (%%s, %%s) %%s', a.amprocnum, format_type(a.amproclefttype, null), format_type(a.amprocrighttype, null),
          a.amproc::regprocedure), ', ' order by a.amprocnum, a.amproc::regprocedure::text
      )
      from pg_depend d join pg_amproc a on a.oid = d.objid
      where d.classid = 'pg_amproc'::regclass and d.refclassid = 'pg_opfamily'::regclass and d.refobjid = f.oid
    )
  ), '') as members
) loose
where f.oid >= 16384 and (loose.members is not null or not exists (
  select from pg_opclass c where c.opcfamily = f.oid and c.opcname = f.opfname and c.opcnamespace = f.opfnamespace
))
