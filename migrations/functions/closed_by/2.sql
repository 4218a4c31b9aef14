-- What keeps this row from being sent now, of all that is closed. Which accounts may send it, its tenant's own route and living workers
-- tell. The worker's own rules (domain/closures.py) say the same; one table of cases is run over both.
CREATE OR REPLACE FUNCTION noti.closed_by(n noti.notifications_log) RETURNS SETOF noti.closures LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH active AS MATERIALIZED (SELECT c.* FROM noti.closures c),
  shut AS MATERIALIZED (
    SELECT DISTINCT c.name FROM active c WHERE c.scope = 'account' OR c.scope = 'tenant account' AND c.tenant_id = n.tenant_id),
  able AS MATERIALIZED (SELECT DISTINCT a.account FROM noti.accounts_for(n) AS a WHERE EXISTS (SELECT FROM shut))
  SELECT c.*
    FROM active c
   WHERE c.scope = 'everything'
      OR c.scope = 'channel' AND c.name = n.channel
      OR c.scope = 'tenant' AND c.name = n.tenant_id
      OR c.scope = 'template' AND c.name = n.template_id
      OR c.scope = 'tenant channel' AND c.tenant_id = n.tenant_id AND c.name = n.channel
      OR c.scope = 'tenant template' AND c.tenant_id = n.tenant_id AND c.name = n.template_id
      OR (c.scope = 'account' OR c.scope = 'tenant account' AND c.tenant_id = n.tenant_id)
         AND (c.name = n.provider
              OR c.name IN (SELECT a.account FROM able a)
                 AND NOT EXISTS (SELECT FROM able a WHERE a.account NOT IN (SELECT s.name FROM shut s)))
$$;
