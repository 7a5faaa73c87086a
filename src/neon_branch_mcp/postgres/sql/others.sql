-- Objects of the rarer kinds, each with the statements that make it. Objects with OIDs below 16384 came with initdb.
-- Columns that not every version has are read through to_jsonb. Passwords are not told.
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
), others as (
  select
    'collation' as kind, 'pg_collation'::regclass as classid, c.oid, n.nspname as schema, c.collname as name,
    format('%%I.%%I', n.nspname, c.collname) as identity,
    format('CREATE COLLATION %%I.%%I (%%s)', n.nspname, c.collname, concat_ws(
      ', ',
      'provider = ' || case c.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end,
      case when c.collprovider = 'c' then 'lc_collate = ' || quote_literal(c.collcollate) || ', lc_ctype = ' || quote_literal(c.collctype) end,
      case when c.collprovider <> 'c' then
        'locale = ' || quote_literal(coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'collcollate'))
      end,
      case when not c.collisdeterministic then 'deterministic = false' end,
      'rules = ' || quote_literal(to_jsonb(c) ->> 'collicurules')
    )) as definition,
    c.collowner as owner, null::aclitem[] as acl, null::aclitem[] as usual
  from pg_collation c join pg_namespace n on n.oid = c.collnamespace
  where c.oid >= 16384
  union all
  select
    'operator', 'pg_operator'::regclass, o.oid, n.nspname, o.oprname,
    format(
      '%%I.%%s (%%s, %%s)', n.nspname, o.oprname,
      coalesce(format_type(nullif(o.oprleft, 0), null), 'NONE'), coalesce(format_type(nullif(o.oprright, 0), null), 'NONE')
    ),
    format('CREATE OPERATOR %%I.%%s (%%s)', n.nspname, o.oprname, concat_ws(
      ', ',
      'FUNCTION = ' || nullif(o.oprcode::oid, 0)::regproc,
      'LEFTARG = ' || format_type(nullif(o.oprleft, 0), null),
      'RIGHTARG = ' || format_type(nullif(o.oprright, 0), null),
      (
        select format('COMMUTATOR = OPERATOR(%%I.%%s)', cn.nspname, co.oprname)
        from pg_operator co join pg_namespace cn on cn.oid = co.oprnamespace where co.oid = o.oprcom
      ),
      (
        select format('NEGATOR = OPERATOR(%%I.%%s)', cn.nspname, co.oprname)
        from pg_operator co join pg_namespace cn on cn.oid = co.oprnamespace where co.oid = o.oprnegate
      ),
      case when o.oprcanmerge then 'MERGES' end,
      case when o.oprcanhash then 'HASHES' end,
      'RESTRICT = ' || nullif(o.oprrest::oid, 0)::regproc,
      'JOIN = ' || nullif(o.oprjoin::oid, 0)::regproc
    )),
    o.oprowner, null, null
  from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
  where o.oid >= 16384 and o.oprcode::oid <> 0
  union all
  select
    'operator family', 'pg_opfamily'::regclass, f.oid, n.nspname, f.opfname, format('%%I.%%I USING %%I', n.nspname, f.opfname, m.amname),
    format('CREATE OPERATOR FAMILY %%I.%%I USING %%I', n.nspname, f.opfname, m.amname),
    f.opfowner, null, null
  from pg_opfamily f join pg_namespace n on n.oid = f.opfnamespace join pg_am m on m.oid = f.opfmethod
  where f.oid >= 16384 and not exists (
    select from pg_opclass c where c.opcfamily = f.oid and c.opcname = f.opfname and c.opcnamespace = f.opfnamespace
  )
  union all
  select
    'operator class', 'pg_opclass'::regclass, c.oid, n.nspname, c.opcname, format('%%I.%%I USING %%I', n.nspname, c.opcname, m.amname),
    format(
      'CREATE OPERATOR CLASS %%I.%%I%%s FOR TYPE %%s USING %%I%%s AS %%s', n.nspname, c.opcname, case when c.opcdefault then ' DEFAULT' end,
      format_type(c.opcintype, null), m.amname,
      case when f.opfname <> c.opcname or f.opfnamespace <> c.opcnamespace then format(' FAMILY %%I.%%I', fn.nspname, f.opfname) end,
      concat_ws(
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
      )
    ),
    c.opcowner, null, null
  from pg_opclass c join pg_namespace n on n.oid = c.opcnamespace join pg_am m on m.oid = c.opcmethod
  join pg_opfamily f on f.oid = c.opcfamily join pg_namespace fn on fn.oid = f.opfnamespace
  where c.oid >= 16384
  union all
  select
    'cast', 'pg_cast'::regclass, c.oid, '', format('%%s AS %%s', format_type(c.castsource, null), format_type(c.casttarget, null)),
    format('(%%s AS %%s)', format_type(c.castsource, null), format_type(c.casttarget, null)),
    format(
      'CREATE CAST (%%s AS %%s) %%s%%s', format_type(c.castsource, null), format_type(c.casttarget, null),
      case c.castmethod when 'i' then 'WITH INOUT' when 'b' then 'WITHOUT FUNCTION' else 'WITH FUNCTION ' || c.castfunc::regprocedure end,
      case c.castcontext when 'a' then ' AS ASSIGNMENT' when 'i' then ' AS IMPLICIT' end
    ),
    null, null, null
  from pg_cast c
  where c.oid >= 16384
  union all
  select
    'text search parser', 'pg_ts_parser'::regclass, p.oid, n.nspname, p.prsname, format('%%I.%%I', n.nspname, p.prsname),
    format(
      'CREATE TEXT SEARCH PARSER %%I.%%I (START = %%s, GETTOKEN = %%s, END = %%s%%s, LEXTYPES = %%s)', n.nspname, p.prsname, p.prsstart,
      p.prstoken, p.prsend, ', HEADLINE = ' || nullif(p.prsheadline::oid, 0)::regproc, p.prslextype
    ),
    null, null, null
  from pg_ts_parser p join pg_namespace n on n.oid = p.prsnamespace
  where p.oid >= 16384
  union all
  select
    'text search template', 'pg_ts_template'::regclass, t.oid, n.nspname, t.tmplname, format('%%I.%%I', n.nspname, t.tmplname),
    format(
      'CREATE TEXT SEARCH TEMPLATE %%I.%%I (%%sLEXIZE = %%s)', n.nspname, t.tmplname, 'INIT = ' || nullif(t.tmplinit::oid, 0)::regproc || ', ',
      t.tmpllexize
    ),
    null, null, null
  from pg_ts_template t join pg_namespace n on n.oid = t.tmplnamespace
  where t.oid >= 16384
  union all
  select
    'text search dictionary', 'pg_ts_dict'::regclass, d.oid, n.nspname, d.dictname, format('%%I.%%I', n.nspname, d.dictname),
    format(
      'CREATE TEXT SEARCH DICTIONARY %%I.%%I (TEMPLATE = %%I.%%I%%s)', n.nspname, d.dictname, tn.nspname, t.tmplname, ', ' || d.dictinitoption
    ),
    d.dictowner, null, null
  from pg_ts_dict d join pg_namespace n on n.oid = d.dictnamespace
  join pg_ts_template t on t.oid = d.dicttemplate join pg_namespace tn on tn.oid = t.tmplnamespace
  where d.oid >= 16384
  union all
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
    c.cfgowner, null, null
  from pg_ts_config c join pg_namespace n on n.oid = c.cfgnamespace
  join pg_ts_parser p on p.oid = c.cfgparser join pg_namespace pn on pn.oid = p.prsnamespace
  where c.oid >= 16384
  union all
  select
    'statistics', 'pg_statistic_ext'::regclass, s.oid, n.nspname, s.stxname, format('%%I.%%I', n.nspname, s.stxname),
    case when not s.stxrelid = any(%(locked)s::oid[]) then pg_get_statisticsobjdef(s.oid) || case
      when coalesce(s.stxstattarget, -1) <> -1
      then format(E';\nALTER STATISTICS %%I.%%I SET STATISTICS %%s', n.nspname, s.stxname, s.stxstattarget) else ''
    end end,
    s.stxowner, null, null
  from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace
  union all
  select
    'event trigger', 'pg_event_trigger'::regclass, e.oid, '', e.evtname, quote_ident(e.evtname),
    format(
      'CREATE EVENT TRIGGER %%I ON %%s%%s EXECUTE FUNCTION %%s()%%s', e.evtname, e.evtevent,
      ' WHEN TAG IN (' || (select string_agg(quote_literal(t), ', ') from unnest(e.evttags) t) || ')', e.evtfoid::regproc,
      case e.evtenabled
        when 'D' then format(E';\nALTER EVENT TRIGGER %%I DISABLE', e.evtname)
        when 'R' then format(E';\nALTER EVENT TRIGGER %%I ENABLE REPLICA', e.evtname)
        when 'A' then format(E';\nALTER EVENT TRIGGER %%I ENABLE ALWAYS', e.evtname)
      end
    ),
    e.evtowner, null, null
  from pg_event_trigger e
  union all
  select
    'foreign data wrapper', 'pg_foreign_data_wrapper'::regclass, w.oid, '', w.fdwname, quote_ident(w.fdwname),
    format(
      'CREATE FOREIGN DATA WRAPPER %%I%%s%%s%%s', w.fdwname, ' HANDLER ' || nullif(w.fdwhandler::oid, 0)::regproc,
      ' VALIDATOR ' || nullif(w.fdwvalidator::oid, 0)::regproc, ' OPTIONS (' || o.text || ')'
    ),
    w.fdwowner, w.fdwacl, acldefault('F', w.fdwowner)
  from pg_foreign_data_wrapper w left join options o on o.oid = w.oid
  union all
  select
    'server', 'pg_foreign_server'::regclass, s.oid, '', s.srvname, quote_ident(s.srvname),
    format(
      'CREATE SERVER %%I%%s%%s FOREIGN DATA WRAPPER %%I%%s', s.srvname, ' TYPE ' || quote_literal(s.srvtype),
      ' VERSION ' || quote_literal(s.srvversion), w.fdwname, ' OPTIONS (' || o.text || ')'
    ),
    s.srvowner, s.srvacl, acldefault('S', s.srvowner)
  from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw left join options o on o.oid = s.oid
  union all
  select
    'user mapping', 'pg_user_mapping'::regclass, u.umid, '', format('%%s on %%s', u.usename, u.srvname),
    format('FOR %%s SERVER %%I', case u.umuser when 0 then 'PUBLIC' else quote_ident(u.usename) end, u.srvname),
    format(
      'CREATE USER MAPPING FOR %%s SERVER %%I%%s', case u.umuser when 0 then 'PUBLIC' else quote_ident(u.usename) end, u.srvname,
      ' OPTIONS (' || o.text || ')'
    ),
    null, null, null
  from pg_user_mappings u left join options o on o.oid = u.umid
  union all
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
    p.pubowner, null, null
  from pg_publication p
  union all
  select
    'subscription', 'pg_subscription'::regclass, s.oid, '', s.subname, quote_ident(s.subname),
    format(
      'CREATE SUBSCRIPTION %%I CONNECTION ''***'' PUBLICATION %%s WITH (connect = false, slot_name = %%s)', s.subname,
      (select string_agg(quote_ident(p), ', ') from unnest(s.subpublications) p), coalesce(quote_literal(s.subslotname), 'NONE')
    ),
    s.subowner, null, null
  from pg_subscription s
  where s.subdbid = (select oid from pg_database where datname = current_database())
  union all
  select
    'language', 'pg_language'::regclass, l.oid, '', l.lanname, quote_ident(l.lanname),
    format(
      'CREATE%%s LANGUAGE %%I%%s%%s%%s', case when l.lanpltrusted then ' TRUSTED' end, l.lanname,
      ' HANDLER ' || nullif(l.lanplcallfoid, 0)::regproc, ' INLINE ' || nullif(l.laninline, 0)::regproc,
      ' VALIDATOR ' || nullif(l.lanvalidator, 0)::regproc
    ),
    l.lanowner, l.lanacl, acldefault('l', l.lanowner)
  from pg_language l
  where l.oid >= 16384
  union all
  select
    'access method', 'pg_am'::regclass, m.oid, '', m.amname, quote_ident(m.amname),
    format('CREATE ACCESS METHOD %%I TYPE %%s HANDLER %%s', m.amname, case m.amtype when 't' then 'TABLE' else 'INDEX' end, m.amhandler),
    null, null, null
  from pg_am m
  where m.oid >= 16384
  union all
  select
    'conversion', 'pg_conversion'::regclass, c.oid, n.nspname, c.conname, format('%%I.%%I', n.nspname, c.conname),
    format(
      'CREATE%%s CONVERSION %%I.%%I FOR %%L TO %%L FROM %%s', case when c.condefault then ' DEFAULT' end, n.nspname, c.conname,
      pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc
    ),
    c.conowner, null, null
  from pg_conversion c join pg_namespace n on n.oid = c.connamespace
  where c.oid >= 16384
  union all
  select
    'transform', 'pg_transform'::regclass, t.oid, '', format('%%s, %%s', format_type(t.trftype, null), l.lanname),
    format('FOR %%s LANGUAGE %%I', format_type(t.trftype, null), l.lanname),
    format(
      'CREATE TRANSFORM FOR %%s LANGUAGE %%I (%%s)', format_type(t.trftype, null), l.lanname, concat_ws(
        ', ', 'FROM SQL WITH FUNCTION ' || nullif(t.trffromsql::oid, 0)::regprocedure,
        'TO SQL WITH FUNCTION ' || nullif(t.trftosql::oid, 0)::regprocedure
      )
    ),
    null, null, null
  from pg_transform t join pg_language l on l.oid = t.trflang
  union all
  select
    'default privileges', 'pg_default_acl'::regclass, a.oid, coalesce(n.nspname, ''),
    format('%%s of %%s', o.objects, pg_get_userbyid(a.defaclrole)), '',
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I%%s ', pg_get_userbyid(a.defaclrole), ' IN SCHEMA ' || quote_ident(n.nspname)),
    null, a.defaclacl, case when a.defaclnamespace = 0 then acldefault(
      case a.defaclobjtype when 'S' then 's' else a.defaclobjtype end, a.defaclrole
    ) end
  from pg_default_acl a left join pg_namespace n on n.oid = a.defaclnamespace
  cross join lateral (
    select case a.defaclobjtype
      when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES' when 'n' then 'SCHEMAS' else 'LARGE OBJECTS'
    end as objects
  ) o
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
