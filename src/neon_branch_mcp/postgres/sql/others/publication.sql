select
  'publication', 'pg_publication'::regclass, p.oid, '', p.pubname, quote_ident(p.pubname),
  format(
    'CREATE PUBLICATION %%I%%s WITH (publish = %%L%%s)', p.pubname, case when p.puballtables then ' FOR ALL TABLES' end,
    concat_ws(
      ', ', case when p.pubinsert then 'insert' end, case when p.pubupdate then 'update' end, case when p.pubdelete then 'delete' end,
      case when p.pubtruncate then 'truncate' end
    ),
    case when p.pubviaroot then ', publish_via_partition_root = true' end
      || case when coalesce(to_jsonb(p) ->> 'pubgencols', 'n') = 's' then ', publish_generated_columns = stored' else '' end
  ) || coalesce((
    select string_agg(
      format(
        E';\nALTER PUBLICATION %%I ADD TABLE ONLY %%I.%%I%%s%%s', p.pubname, rn.nspname, r.relname,
        (
          select ' (' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')'
          from pg_attribute a
          where a.attrelid = r.oid and to_jsonb(x) -> 'prattrs' @> to_jsonb(a.attnum)
        ),
        case when to_jsonb(x) ->> 'prqual' is not null and not r.oid = any(%(locked)s::oid[]) then (
          select ' WHERE (' || (to_jsonb(v) ->> 'rowfilter') || ')'
          from pg_publication_tables v
          where v.pubname = p.pubname and v.schemaname = rn.nspname and v.tablename = r.relname
        ) end
      ), '' order by rn.nspname, r.relname
    )
    from pg_publication_rel x join pg_class r on r.oid = x.prrelid join pg_namespace rn on rn.oid = r.relnamespace
    where x.prpubid = p.oid
  ), ''),
  p.pubowner, null::aclitem[], null::aclitem[]
from pg_publication p
