DROP TRIGGER limits_odd ON noti.limits;
DROP TRIGGER limits_change ON noti.limits;
DELETE FROM noti.rights
 WHERE object IN ('limits', 'limits_revision', 'buckets', 'usage', 'spent', 'full_quotas', 'limit_pace', 'allow', 'slow', 'watch_quotas',
                  'destination', 'allowance', 'rate_words', 'obstacle_limited');
CREATE OR REPLACE VIEW noti.closures WITH (security_invoker = true) AS
  SELECT 'pause' AS cause, p.scope, p.tenant_id, p.name, p.reason, p.paused_by AS by, p.created_at AS since, p.until
    FROM noti.pauses p
   WHERE p.until IS NULL OR p.until > clock_timestamp()
  UNION ALL
  SELECT 'circuit', c.scope, c.tenant_id, c.name, c.reason, c.opened_by, c.opened_at, c.retry_at
    FROM noti.circuits c
   WHERE c.state = 'open';
