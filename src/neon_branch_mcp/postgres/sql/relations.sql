-- Tables, views and materialized views that no extension owns, with what pg_class alone says of them.
-- Functions that deparse open the relation, so they would wait for its lock: what another session has locked is left out.
select
  c.oid::int8,
  n.nspname,
  c.relname,
  c.relkind::text,
  c.relpersistence = 'u' as unlogged,
  c.relispartition,
  case when c.relispartition and not l.locked then pg_get_expr(c.relpartbound, c.oid) end as partition_bound,
  case when c.relkind = 'p' and not l.locked then pg_get_partkeydef(c.oid) end as partition_key,
  (
    select array_agg(array[pn.nspname::text, p.relname::text] order by i.inhseqno)
    from pg_inherits i join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    where i.inhrelid = c.oid
  ) as parents,
  case when c.reloftype <> 0 then format_type(c.reloftype, null) end as of_type,
  fs.srvname as server,
  ft.ftoptions::text[] as fdw_options,
  c.reloptions,
  (select t.reloptions from pg_class t where t.oid = c.reltoastrelid) as toast_options,
  am.amname as access_method,
  ts.spcname as tablespace,
  case when c.relkind in ('r', 'p') then c.relreplident else 'd' end::text as replica_identity,
  c.relrowsecurity,
  c.relforcerowsecurity,
  pg_get_userbyid(c.relowner) as owner,
  obj_description(c.oid, 'pg_class') as comment,
  c.relacl::text[] as acl,
  case when c.relacl is not null then acldefault('r', c.relowner)::text[] end as default_acl,
  case when c.relkind in ('v', 'm') and not l.locked then pg_get_viewdef(c.oid) end as definition,
  c.relispopulated,
  case when c.reltuples >= 0 then c.reltuples::int8 end as analyzed_rows,
  pg_stat_get_live_tuples(c.oid) as live_rows,
  -- Asking the file system for each of many tables takes longer than all the rest; pg_class knows about how large what was vacuumed is.
  case when %(sizes)s and c.relkind in ('r', 'm') and not l.locked then
    case when c.relpages > 0 then (
      c.relpages
      + (select coalesce(sum(i.relpages), 0) from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = c.oid)
      + (select coalesce(sum(t.relpages), 0) from pg_class t where t.oid = c.reltoastrelid)
    )::int8 * current_setting('block_size')::int8
    when pg_stat_get_live_tuples(c.oid) > 0 then pg_total_relation_size(c.oid) end
  end as size,
  has_schema_privilege(n.oid, 'USAGE')
    and (has_table_privilege(c.oid, 'SELECT') or has_any_column_privilege(c.oid, 'SELECT')) as readable,
  l.locked,
  case when c.relkind = 'p' then (select count(*) from pg_inherits i where i.inhparent = c.oid) else 0 end as partitions
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join lateral (select c.oid = any(%(locked)s::oid[]) as locked) l
left join pg_foreign_table ft on ft.ftrelid = c.oid
left join pg_foreign_server fs on fs.oid = ft.ftserver
left join pg_am am on am.oid = c.relam and am.amname <> 'heap'
left join pg_tablespace ts on ts.oid = c.reltablespace
where c.relkind in ('r', 'p', 'f', 'v', 'm')
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or n.nspname = any(%(schemas)s::text[]))
  and (%(only)s::oid[] is null or c.oid = any(%(only)s::oid[]))
  and not exists (
    select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by n.nspname, c.relname
