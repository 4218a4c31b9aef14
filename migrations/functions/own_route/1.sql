-- The accounts of its own through which a tenant's channel goes, in failover order: as it says, else those that serve the channel, by
-- name. A NULL account stands where the installation's route goes on. Nothing: the tenant has none of its own there.
CREATE OR REPLACE FUNCTION noti.own_route(tenant_id text, channel text) RETURNS TABLE (place bigint, account text, provider text, mode text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.position::bigint, r.tenant_id || '/' || r.account, a.provider, a.mode
    FROM noti.routes r
    LEFT JOIN noti.accounts a ON a.tenant_id = r.tenant_id AND a.name = r.account
   WHERE r.tenant_id = own_route.tenant_id AND r.channel = own_route.channel
     AND (r.account IS NULL OR own_route.channel = ANY (a.channels))
  UNION ALL
  SELECT row_number() OVER (ORDER BY a.name), a.tenant_id || '/' || a.name, a.provider, a.mode
    FROM noti.accounts a
   WHERE a.tenant_id = own_route.tenant_id AND own_route.channel = ANY (a.channels)
     AND NOT EXISTS (SELECT FROM noti.routes r WHERE r.tenant_id = own_route.tenant_id AND r.channel = own_route.channel)
$$;
