-- Every table that holds rows of its own: plain tables, and partitioned ones as a whole; their partitions too, marked. `key` is the primary key, else the narrowest
-- unique index over plain columns that can never be null; `estimate` is -1 where nothing is known.
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
cross join lateral (
    select
        coalesce(sum(pg_catalog.pg_table_size(leaf.oid)), 0) as bytes,
        coalesce(sum(leaf.reltuples) filter (where leaf.relkind = 'r'), -1) as estimate
    from pg_catalog.pg_class leaf
    where leaf.oid = c.oid
        or (c.relkind = 'p' and leaf.oid in (select p.relid from pg_catalog.pg_partition_tree(c.oid) p))
) size
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
