-- Which pauses keep this row from being sent, in words; NULL when none does. What accounts there are, living workers tell.
CREATE OR REPLACE FUNCTION noti.paused(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH active AS (SELECT p FROM noti.pauses p WHERE p.until IS NULL OR p.until > clock_timestamp()),
  able AS (  -- the accounts that may send it
    SELECT DISTINCT a.account
      FROM noti.workers w, jsonb_each_text(CASE WHEN jsonb_typeof(w.state->'routes'->n.channel) = 'object' THEN w.state->'routes'->n.channel END) AS a (account, provider)
     WHERE EXISTS (SELECT 1 FROM active WHERE (p).scope = 'account')
       AND w.heartbeat >= clock_timestamp() - interval '15 s'
       AND (n.provider IS NULL OR n.provider = a.account
            OR n.provider = a.provider AND NOT w.state->'routes'->n.channel ? n.provider))
  SELECT string_agg(noti.pause_words(p), ', and ' ORDER BY (p).created_at, (p).scope, (p).name)
    FROM active
   WHERE (p).scope = 'everything'
      OR (p).scope = 'channel' AND (p).name = n.channel
      OR (p).scope = 'tenant' AND (p).name = n.tenant_id
      OR (p).scope = 'template' AND (p).name = n.template_id
      OR (p).scope = 'account' AND (
           (p).name = n.provider
           OR (p).name IN (SELECT account FROM able)
              AND NOT EXISTS (SELECT 1 FROM able WHERE account NOT IN (SELECT (p).name FROM active WHERE (p).scope = 'account')))
$$;
