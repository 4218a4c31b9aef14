DELETE FROM noti.tenant_tables WHERE name IN ('accounts', 'routes', 'secrets', 'account_versions');
DROP TRIGGER secrets_change ON noti.secrets;
DROP TRIGGER routes_change ON noti.routes;
DROP TRIGGER accounts_change ON noti.accounts;
DROP TRIGGER accounts_odd ON noti.accounts;
DELETE FROM noti.rights WHERE object IN ('accounts', 'routes', 'secrets', 'account_versions', 'versions', 'own_route', 'remove_account', 'remove_secret', 'set_route');
CREATE OR REPLACE VIEW noti.closures WITH (security_invoker = true) AS
  SELECT 'pause' AS cause, p.scope, p.tenant_id, p.name, p.reason, p.paused_by AS by, p.created_at AS since, p.until
    FROM noti.pauses p
   WHERE p.until IS NULL OR p.until > clock_timestamp()
  UNION ALL
  SELECT 'circuit', c.scope, c.tenant_id, c.name, c.reason, c.opened_by, c.opened_at, c.retry_at
    FROM noti.circuits c
   WHERE c.state = 'open'
  UNION ALL
  SELECT 'quota', s.scope, s.tenant_id, s.name, 'all ' || s.amount::text || ' of this ' || s.period || ' are used', NULL, s.since, s.until
    FROM noti.spent s
   WHERE s.until > clock_timestamp()
  UNION ALL
  SELECT 'suspended', 'tenant', '', t.tenant_id COLLATE "default", t.reason, t.status_by, t.status_at, NULL
    FROM noti.tenants t
   WHERE t.status <> 'active';
