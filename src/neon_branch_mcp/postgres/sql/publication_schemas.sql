-- Schemas that publications take whole (Postgres 15 and later).
select
  p.pnpubid::int8,
  string_agg(format(E';\nALTER PUBLICATION %%I ADD TABLES IN SCHEMA %%I', b.pubname, n.nspname), '' order by n.nspname)
from pg_publication_namespace p
join pg_publication b on b.oid = p.pnpubid
join pg_namespace n on n.oid = p.pnnspid
group by p.pnpubid
