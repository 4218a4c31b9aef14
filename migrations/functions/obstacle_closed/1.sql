-- The pauses that keep it back. One of an account does when the row asks for that account, or when every account that may send it
-- is paused.
CREATE OR REPLACE FUNCTION noti.obstacle_closed(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH active AS (SELECT p FROM noti.pauses p WHERE p.until IS NULL OR p.until > clock_timestamp()),
  able AS (SELECT DISTINCT a.account FROM noti.accounts_for(n) a WHERE EXISTS (SELECT FROM active WHERE (p).scope = 'account'))
  SELECT 'pause', (p).scope, nullif((p).name, ''), (p).created_at, (p).until, (p).paused_by, noti.pause_words(p), NULL::text
    FROM active
   WHERE (p).scope = 'everything'
      OR (p).scope = 'channel' AND (p).name = n.channel
      OR (p).scope = 'tenant' AND (p).name = n.tenant_id
      OR (p).scope = 'template' AND (p).name = n.template_id
      OR (p).scope = 'account' AND (
           (p).name = n.provider
           OR (p).name IN (SELECT account FROM able)
              AND NOT EXISTS (SELECT FROM able WHERE account NOT IN (SELECT (p).name FROM active WHERE (p).scope = 'account')))
   ORDER BY (p).created_at, (p).scope, (p).name
$$;
