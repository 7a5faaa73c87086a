-- Every column of every table that holds rows of its own, with the type below its domains. One row per column, in table order.
with recursive based as (
    select t.oid as declared, t.oid, t.typtype, t.typbasetype, t.typtypmod, -1 as modifier from pg_catalog.pg_type t
    union all
    select b.declared, t.oid, t.typtype, t.typbasetype, t.typtypmod, b.typtypmod
    from based b
    join pg_catalog.pg_type t on t.oid = b.typbasetype
    where b.typtype = 'd'
),
base_types as (
    select declared, oid, modifier from based where typtype <> 'd'
)
select
    a.attrelid::int8 as relation,
    a.attnum::int8 as number,
    a.attname::text as name,
    pg_catalog.format_type(a.atttypid, a.atttypmod) as declared,
    case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text else '' end as builtin,
    t.typtype::text as kind,
    t.oid::int8 as type_oid,
    a.attgenerated::text <> '' as generated,
    pg_catalog.pg_get_serial_sequence(pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname)
        as sequence,
    coalesce((
        select string_agg(pg_catalog.quote_ident(f.attname) || ' ' || pg_catalog.format_type(f.atttypid, f.atttypmod), ', ' order by f.attnum)
        from pg_catalog.pg_attribute f
        where f.attrelid = t.typrelid and f.attnum > 0 and not f.attisdropped
    ), '') as fields,
    case when b.oid <> b.declared then pg_catalog.format_type(b.oid, b.modifier) else '' end as below
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join base_types b on b.declared = a.atttypid
join pg_catalog.pg_type t on t.oid = b.oid
where a.attnum > 0
    and not a.attisdropped
    and c.relkind in ('r', 'p')
    and c.relpersistence <> 't'
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
order by a.attrelid, a.attnum
