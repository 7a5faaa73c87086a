-- Objects of the rarer kinds, each with the statements that make it; between the brackets come the files of others/ that are needed.
-- Objects with OIDs below 16384 came with initdb. Columns that not every version has are read through to_jsonb. No password is told.
with options as (
  select w.oid, string_agg(
    quote_ident(split_part(o, '=', 1)) || ' '
      || quote_literal(case when o ~* '^[^=]*(password|secret)' then '***' else substr(o, strpos(o, '=') + 1) end), ', '
  ) as text
  from (
    select oid, fdwoptions as options from pg_foreign_data_wrapper
    union all select oid, srvoptions from pg_foreign_server
    union all select umid, umoptions from pg_user_mappings
  ) w, unnest(w.options) o
  group by w.oid
), others (kind, classid, oid, schema, name, identity, definition, owner, acl, usual) as (
{branches}
)
select
  kind, schema, name, identity, definition, coalesce(pg_get_userbyid(owner), '') as owner, obj_description(oid, classid::regclass::text),
  acl::text[], case when acl is not null then usual end::text[], oid::int8
from others o
where schema not in ('information_schema', 'neon_branch_mcp') and schema !~ '^pg_'
  and (%(schemas)s::text[] is null or schema = any(%(schemas)s::text[]) or schema = '' and %(only)s::oid[] is null)
  and (%(only)s::oid[] is null or oid = any(%(only)s::oid[]))
  and not exists (select from pg_depend d where d.classid = o.classid and d.objid = o.oid and d.deptype in ('e', 'i'))
order by kind, schema, name, identity
