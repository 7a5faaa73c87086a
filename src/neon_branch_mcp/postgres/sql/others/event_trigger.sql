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
  e.evtowner, null::aclitem[], null::aclitem[]
from pg_event_trigger e
