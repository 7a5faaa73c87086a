select
  'subscription', 'pg_subscription'::regclass, s.oid, '', s.subname, quote_ident(s.subname),
  format(
    'CREATE SUBSCRIPTION %%I CONNECTION ''***'' PUBLICATION %%s WITH (connect = false, slot_name = %%s)', s.subname,
    (select string_agg(quote_ident(p), ', ') from unnest(s.subpublications) p), coalesce(quote_literal(s.subslotname), 'NONE')
  ),
  s.subowner, null::aclitem[], null::aclitem[]
from pg_subscription s
where s.subdbid = (select oid from pg_database where datname = current_database())
