select
  'operator class', 'pg_opclass'::regclass, c.oid, n.nspname, c.opcname, format('%%I.%%I USING %%I', n.nspname, c.opcname, m.amname),
  format(
    'CREATE OPERATOR CLASS %%I.%%I%%s FOR TYPE %%s USING %%I%%s AS %%s', n.nspname, c.opcname, case when c.opcdefault then ' DEFAULT' end,
    format_type(c.opcintype, null), m.amname,
    case when f.opfname <> c.opcname or f.opfnamespace <> c.opcnamespace or exists (
      select from pg_depend l where l.refclassid = 'pg_opfamily'::regclass and l.refobjid = f.oid
        and l.classid in ('pg_amop'::regclass, 'pg_amproc'::regclass)
    ) then format(' FAMILY %%I.%%I', fn.nspname, f.opfname) end,
    coalesce(nullif(concat_ws(
      ', ',
      'STORAGE ' || format_type(nullif(c.opckeytype, 0), null),
      (
        select string_agg(
          format('OPERATOR %%s %%s', a.amopstrategy, a.amopopr::regoperator)
            || case when sf.oid is null then '' else format(' FOR ORDER BY %%I.%%I', sn.nspname, sf.opfname) end,
          ', ' order by a.amopstrategy
        )
        from pg_depend d join pg_amop a on a.oid = d.objid
        left join pg_opfamily sf on sf.oid = a.amopsortfamily left join pg_namespace sn on sn.oid = sf.opfnamespace
        where d.classid = 'pg_amop'::regclass and d.refclassid = 'pg_opclass'::regclass and d.refobjid = c.oid
      ),
      (
        select string_agg(
          format('FUNCTION %%s (%%s, %%s) %%s', a.amprocnum, format_type(a.amproclefttype, null), format_type(a.amprocrighttype, null),
            a.amproc::regprocedure), ', ' order by a.amprocnum
        )
        from pg_depend d join pg_amproc a on a.oid = d.objid
        where d.classid = 'pg_amproc'::regclass and d.refclassid = 'pg_opclass'::regclass and d.refobjid = c.oid
      )
    ), ''), 'STORAGE ' || format_type(c.opcintype, null))
  ),
  c.opcowner, null::aclitem[], null::aclitem[]
from pg_opclass c join pg_namespace n on n.oid = c.opcnamespace join pg_am m on m.oid = c.opcmethod
join pg_opfamily f on f.oid = c.opcfamily join pg_namespace fn on fn.oid = f.opfnamespace
where c.oid >= 16384
