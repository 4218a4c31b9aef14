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
   WHERE t.status <> 'active'
  UNION ALL
  SELECT 'pause', 'account', '', (a.tenant_id || '/' || a.name) COLLATE "default", 'disabled: noti-worker account set --enable', a.set_by, a.set_at, NULL
    FROM noti.accounts a
   WHERE NOT a.enabled;
DELETE FROM noti.spent WHERE period = '';
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'noti_operator') THEN
    REVOKE SELECT (raw_id, account, provider, received_at, read_at, error) ON noti.receipts_raw FROM noti_operator;
  END IF;
END $$;
DELETE FROM noti.rights WHERE role = 'noti_operator' AND privilege = 'SELECT' AND object = 'receipts_raw';
