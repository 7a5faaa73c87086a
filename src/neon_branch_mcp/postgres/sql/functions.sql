-- Functions, procedures and aggregates of the asked schemas that no extension owns.
-- A body of SQL-standard form (BEGIN ATOMIC) is deparsed, which waits for the tables in it: left out where one is locked.
select
  p.oid::int8,
  n.nspname,
  p.proname,
  p.prokind::text,
  pg_get_function_identity_arguments(p.oid) as identity,
  pg_get_function_arguments(p.oid) as arguments,
  coalesce(pg_get_function_result(p.oid), '') as result,
  l.lanname,
  case when not %(bodies)s then null when p.prokind = 'a' then (
    select format('CREATE AGGREGATE %%I.%%I(%%s) (', n.nspname, p.proname, pg_get_function_arguments(p.oid)) || concat_ws(
      ', ',
      'SFUNC = ' || g.aggtransfn,
      'STYPE = ' || format_type(g.aggtranstype, null),
      'SSPACE = ' || nullif(g.aggtransspace, 0),
      'FINALFUNC = ' || nullif(g.aggfinalfn::oid, 0)::regproc,
      case when g.aggfinalextra then 'FINALFUNC_EXTRA' end,
      case when g.aggfinalfn::oid <> 0 and g.aggfinalmodify <> case when g.aggkind = 'n' then 'r' else 'w' end::"char" then
        'FINALFUNC_MODIFY = ' || case g.aggfinalmodify when 'r' then 'READ_ONLY' when 's' then 'SHAREABLE' else 'READ_WRITE' end
      end,
      'COMBINEFUNC = ' || nullif(g.aggcombinefn::oid, 0)::regproc,
      'SERIALFUNC = ' || nullif(g.aggserialfn::oid, 0)::regproc,
      'DESERIALFUNC = ' || nullif(g.aggdeserialfn::oid, 0)::regproc,
      'INITCOND = ' || quote_literal(g.agginitval),
      'MSFUNC = ' || nullif(g.aggmtransfn::oid, 0)::regproc,
      'MINVFUNC = ' || nullif(g.aggminvtransfn::oid, 0)::regproc,
      'MSTYPE = ' || format_type(nullif(g.aggmtranstype, 0), null),
      'MSSPACE = ' || nullif(g.aggmtransspace, 0),
      'MFINALFUNC = ' || nullif(g.aggmfinalfn::oid, 0)::regproc,
      case when g.aggmfinalextra then 'MFINALFUNC_EXTRA' end,
      case when g.aggmfinalfn::oid <> 0 and g.aggmfinalmodify <> case when g.aggkind = 'n' then 'r' else 'w' end::"char" then
        'MFINALFUNC_MODIFY = ' || case g.aggmfinalmodify when 'r' then 'READ_ONLY' when 's' then 'SHAREABLE' else 'READ_WRITE' end
      end,
      'MINITCOND = ' || quote_literal(g.aggminitval),
      (
        select 'SORTOP = OPERATOR(' || quote_ident(sn.nspname) || '.' || so.oprname || ')'
        from pg_operator so join pg_namespace sn on sn.oid = so.oprnamespace where so.oid = g.aggsortop
      ),
      case p.proparallel when 's' then 'PARALLEL = SAFE' when 'r' then 'PARALLEL = RESTRICTED' end,
      case when g.aggkind = 'h' then 'HYPOTHETICAL' end
    ) || ')'
    from pg_aggregate g where g.aggfnoid = p.oid
  ) when not (
    p.prosqlbody is not null and exists (
      select from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_class'::regclass
        and d.refobjid = any(%(locked)s::oid[])
    )
  ) then pg_get_functiondef(p.oid) end as definition,
  p.provolatile::text,
  p.prosecdef,
  pg_get_userbyid(p.proowner) as owner,
  obj_description(p.oid, 'pg_proc') as comment,
  p.proacl::text[] as acl,
  case when p.proacl is not null then acldefault('f', p.proowner)::text[] end as default_acl
from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'neon_branch_mcp')
  and (%(schemas)s::text[] is null or n.nspname = any(%(schemas)s::text[]))
  and (%(only)s::oid[] is null or p.oid = any(%(only)s::oid[]))
  and not exists (
    select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i')
  )
order by n.nspname, p.proname, 5
