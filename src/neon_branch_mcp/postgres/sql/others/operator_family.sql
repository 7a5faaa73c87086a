select
  'operator family', 'pg_opfamily'::regclass, f.oid, n.nspname, f.opfname, format('%%I.%%I USING %%I', n.nspname, f.opfname, m.amname),
  format('CREATE OPERATOR FAMILY %%I.%%I USING %%I', n.nspname, f.opfname, m.amname),
  f.opfowner, null::aclitem[], null::aclitem[]
from pg_opfamily f join pg_namespace n on n.oid = f.opfnamespace join pg_am m on m.oid = f.opfmethod
where f.oid >= 16384 and not exists (
  select from pg_opclass c where c.opcfamily = f.oid and c.opcname = f.opfname and c.opcnamespace = f.opfnamespace
)
