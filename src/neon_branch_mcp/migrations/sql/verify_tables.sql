-- Every table that holds rows of its own: plain tables, and partitioned ones as a whole; their partitions too, marked. `key` is the
-- primary key, else the narrowest unique index over plain columns that can never be null; `estimate` is -1 where nothing is known.
-- The size of a table that another session holds ACCESS EXCLUSIVE is not asked for: Postgres would wait for the lock. Nor is it by
-- pg_partition_tree, which locks every partition.
with recursive locked as (
    select l.relation
    from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid <> pg_catalog.pg_backend_pid()
        and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
),
parts as (
    select c.oid as root, c.oid as part from pg_catalog.pg_class c where c.relkind in ('r', 'p')
    union all
    select p.root, i.inhrelid
    from parts p
    join pg_catalog.pg_class c on c.oid = p.part and c.relkind = 'p'
    join pg_catalog.pg_inherits i on i.inhparent = p.part
),
sizes as (
    select
        p.root,
        coalesce(sum(pg_catalog.pg_table_size(leaf.oid)) filter (where leaf.oid not in (select l.relation from locked l)), 0) as bytes,
        coalesce(sum(leaf.reltuples) filter (where leaf.relkind = 'r'), -1) as estimate
    from parts p
    join pg_catalog.pg_class leaf on leaf.oid = p.part
    join pg_catalog.pg_namespace n on n.oid = leaf.relnamespace
    where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    group by p.root
)
select
    c.oid::int8 as oid,
    n.nspname::text as schema,
    c.relname::text as name,
    c.relkind = 'p' as partitioned,
    size.bytes::int8 as bytes,
    size.estimate::int8 as estimate,
    coalesce(k.key, '{}') as key,
    c.relispartition as partition
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join sizes size on size.root = c.oid
left join lateral (
    select array_agg(a.attname::text order by part.place) as key
    from (
        select i.indexrelid, i.indrelid, i.indkey, i.indnkeyatts
        from pg_catalog.pg_index i
        where i.indrelid = c.oid
            and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
            and not exists (
                select from pg_catalog.pg_attribute a
                where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) and not a.attnotnull
            )
        order by i.indisprimary desc, i.indnkeyatts, i.indexrelid
        limit 1
    ) best
    cross join lateral unnest(best.indkey[0:best.indnkeyatts - 1]) with ordinality as part (number, place)
    join pg_catalog.pg_attribute a on a.attrelid = best.indrelid and a.attnum = part.number
) k on true
where c.relkind in ('r', 'p')
    and c.relpersistence <> 't'
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
order by n.nspname, c.relname
