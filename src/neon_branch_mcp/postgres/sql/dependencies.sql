-- What must be there before an object can be made, as pairs of OIDs. Defaults, checks, keys and indexes come after everything else, so they
-- do not count; a generated column's expression does. Row types, arrays and multiranges stand for what they belong to.
with recursive type_owner as (
  select
    t.oid,
    case
      when c.relkind is not null and c.relkind <> 'c' then c.oid
      when e.typarray = t.oid then coalesce(ec.oid, e.oid)
      when r.rngtypid is not null then r.rngtypid
      else t.oid
    end as owner
  from pg_type t
  left join pg_class c on c.oid = t.typrelid
  left join pg_type e on e.oid = t.typelem and t.typelem <> 0
  left join pg_class ec on ec.oid = e.typrelid and ec.relkind <> 'c'
  left join pg_range r on r.rngmultitypid = t.oid
  where t.oid >= 16384
)
select distinct d.obj::int8, d.ref::int8
from (
  select
    case
      when d.classid = 'pg_rewrite'::regclass then r.ev_class
      when d.classid = 'pg_attrdef'::regclass then a.adrelid
      when d.classid = 'pg_constraint'::regclass then k.contypid
      when d.classid = 'pg_class'::regclass and c.relkind = 'c' then c.reltype
      when l.refobjid is not null then l.refobjid
      else d.objid
    end as obj,
    coalesce(case when d.refclassid = 'pg_type'::regclass then o.owner when rc.relkind = 'c' then rc.reltype end, d.refobjid) as ref
  from pg_depend d
  left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid and r.rulename = '_RETURN'
  left join pg_attrdef a on d.classid = 'pg_attrdef'::regclass and a.oid = d.objid and exists (
    select from pg_attribute g where g.attrelid = a.adrelid and g.attnum = a.adnum and g.attgenerated <> ''
  )
  left join pg_constraint k on d.classid = 'pg_constraint'::regclass and k.oid = d.objid and k.contypid <> 0
  left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
  left join pg_depend l on d.classid in ('pg_amop'::regclass, 'pg_amproc'::regclass) and l.classid = d.classid and l.objid = d.objid
    and l.refclassid in ('pg_opclass'::regclass, 'pg_opfamily'::regclass) and l.deptype in ('a', 'i')  -- whose member it is
  left join pg_class rc on d.refclassid = 'pg_class'::regclass and rc.oid = d.refobjid
  left join type_owner o on d.refclassid = 'pg_type'::regclass and o.oid = d.refobjid
  where d.refobjid >= 16384 and d.objid >= 16384 and d.deptype in ('n', 'a', 'i')
    and d.refclassid in (
      'pg_class'::regclass, 'pg_type'::regclass, 'pg_proc'::regclass, 'pg_operator'::regclass, 'pg_collation'::regclass,
      'pg_opclass'::regclass, 'pg_opfamily'::regclass, 'pg_foreign_server'::regclass, 'pg_foreign_data_wrapper'::regclass,
      'pg_ts_dict'::regclass, 'pg_ts_config'::regclass, 'pg_ts_parser'::regclass, 'pg_ts_template'::regclass, 'pg_language'::regclass,
      'pg_transform'::regclass, 'pg_am'::regclass
    )
    and d.classid not in ('pg_trigger'::regclass, 'pg_policy'::regclass)
    and not (d.classid = 'pg_type'::regclass and d.deptype = 'i')  -- a table's row type, and array types
    and (d.classid <> 'pg_class'::regclass or c.relkind in ('r', 'p', 'f', 'v', 'm', 'c'))
) d
where d.obj is not null and d.obj <> 0 and d.obj <> d.ref
