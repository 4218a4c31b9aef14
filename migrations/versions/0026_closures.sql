-- An account without a rate whose provider asked us to wait stands there, too, with an empty period.
CREATE OR REPLACE VIEW noti.closures WITH (security_invoker = true) AS
  SELECT 'pause' AS cause, p.scope, p.tenant_id, p.name, p.reason, p.paused_by AS by, p.created_at AS since, p.until
    FROM noti.pauses p
   WHERE p.until IS NULL OR p.until > clock_timestamp()
  UNION ALL
  SELECT 'circuit', c.scope, c.tenant_id, c.name, c.reason, c.opened_by, c.opened_at, c.retry_at
    FROM noti.circuits c
   WHERE c.state = 'open'
  UNION ALL
  SELECT CASE s.period WHEN '' THEN 'limit' ELSE 'quota' END, s.scope, s.tenant_id, s.name,
         CASE s.period WHEN '' THEN 'it found us too fast' ELSE 'all ' || s.amount::text || ' of this ' || s.period || ' are used' END, NULL, s.since, s.until
    FROM noti.spent s
   WHERE s.until > clock_timestamp()
  UNION ALL
  SELECT 'suspended', 'tenant', '', t.tenant_id COLLATE "default", t.reason, t.status_by, t.status_at, NULL
    FROM noti.tenants t
   WHERE t.status <> 'active'
  UNION ALL
  SELECT 'pause', 'account', '', (a.tenant_id || '/' || a.name) COLLATE "default", 'disabled: noti-worker account set --enable', a.set_by, a.set_at, NULL
    FROM noti.accounts a
   WHERE NOT a.enabled;
