-- Everything that is listed, by name only: cheap however large the schema is. Sequences that a column owns are listed with it.
select kind, schema, name, identity, oid::int8, label, analyzed, live from (
  select
    case c.relkind when 'v' then 'view' when 'm' then 'view' when 'S' then 'sequence' else 'table' end as kind,
    n.nspname as schema, c.relname as name, '' as identity, c.oid,
    case
      when c.relkind = 'm' then 'materialized view' when c.relkind = 'v' then 'view' when c.relkind = 'S' then 'sequence'
      when c.relispartition then 'partition' when c.relkind = 'f' then 'foreign table' when c.relkind = 'p' then 'partitioned table'
      when c.relpersistence = 'u' then 'unlogged table' else 'table'
    end as label,
    case when c.relkind = 'r' and c.reltuples >= 0 then c.reltuples::int8 end as analyzed,
    case when c.relkind = 'r' then pg_stat_get_live_tuples(c.oid) end as live,
    'pg_class'::regclass as classid
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
    and n.nspname !~ '^pg_'
    and not (c.relkind = 'S' and exists (
      select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    ))
  union all
  select case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite' else 'range' end,
    n.nspname, t.typname, '', t.oid,
    case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'type' else 'range' end, null, null, 'pg_type'::regclass
  from pg_type t join pg_namespace n on n.oid = t.typnamespace
  where n.nspname !~ '^pg_' and (
    t.typtype in ('e', 'd', 'r')
    or t.typtype = 'c' and exists (select from pg_class c where c.oid = t.typrelid and c.relkind = 'c')
  )
  union all
  select 'function', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.oid,
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window function' else 'function' end, null, null, 'pg_proc'::regclass
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname !~ '^pg_'
    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'i')
) o
where schema not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or schema = any(%(schemas)s::text[]))
  and not exists (select from pg_depend d where d.classid = o.classid and d.objid = o.oid and d.deptype = 'e')
