-- The accounts that may send a row: those of its tenant's own route, where it has one, else those of the route of living workers; or of
-- these the ones that it asks for, by their name or by that of their provider.
CREATE OR REPLACE FUNCTION noti.accounts_for(n noti.notifications_log) RETURNS TABLE (account text, provider text, mode text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH own AS MATERIALIZED (SELECT o.* FROM noti.own_route(n.tenant_id, n.channel) AS o)
  SELECT o.account, o.provider, o.mode
    FROM own o
   WHERE o.account IS NOT NULL
     AND (n.provider IS NULL OR o.account IN (n.provider, n.tenant_id || '/' || n.provider)
          OR n.provider = o.provider
             AND NOT EXISTS (SELECT FROM own a WHERE a.account IN (n.provider, n.tenant_id || '/' || n.provider)))
  UNION ALL
  SELECT r.account, r.provider, r.mode
    FROM noti.living_routes r
   WHERE r.channel = n.channel
     AND (NOT EXISTS (SELECT FROM own) OR EXISTS (SELECT FROM own o WHERE o.account IS NULL))
     AND (n.provider IS NULL OR n.provider = r.account
          OR n.provider = r.provider
             AND NOT EXISTS (SELECT FROM noti.living_routes o
                              WHERE o.worker_id = r.worker_id AND o.channel = r.channel AND o.account = n.provider))
     AND NOT EXISTS (SELECT FROM own a WHERE a.account IN (n.provider, n.tenant_id || '/' || n.provider))
$$;
