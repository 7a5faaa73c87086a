select
  'text search configuration', 'pg_ts_config'::regclass, c.oid, n.nspname, c.cfgname, format('%%I.%%I', n.nspname, c.cfgname),
  format('CREATE TEXT SEARCH CONFIGURATION %%I.%%I (PARSER = %%I.%%I)', n.nspname, c.cfgname, pn.nspname, p.prsname) || coalesce((
    select string_agg(
      format(E';\nALTER TEXT SEARCH CONFIGURATION %%I.%%I ADD MAPPING FOR %%I WITH %%s', n.nspname, c.cfgname, m.alias, m.dicts), ''
      order by m.maptokentype
    )
    from (
      select m.maptokentype, t.alias, string_agg(m.mapdict::regdictionary::text, ', ' order by m.mapseqno) as dicts
      from pg_ts_config_map m join ts_token_type(c.cfgparser) t on t.tokid = m.maptokentype
      where m.mapcfg = c.oid group by m.maptokentype, t.alias
    ) m
  ), ''),
  c.cfgowner, null::aclitem[], null::aclitem[]
from pg_ts_config c join pg_namespace n on n.oid = c.cfgnamespace
join pg_ts_parser p on p.oid = c.cfgparser join pg_namespace pn on pn.oid = p.prsnamespace
where c.oid >= 16384
