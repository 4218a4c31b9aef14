-- A rate is used up just now: that of its tenant's channel, of where it goes, or those of all accounts that may send it. `code` slowed: less than was
-- configured, because a provider found us too fast. A quota that is used up is a closure.
CREATE OR REPLACE FUNCTION noti.obstacle_limited(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH empty AS MATERIALIZED (SELECT a.* FROM noti.allowance() AS a WHERE a.next_at IS NOT NULL),
  able AS MATERIALIZED (SELECT DISTINCT f.account FROM noti.accounts_for(n) AS f WHERE EXISTS (SELECT FROM empty))
  SELECT 'limit', e.scope, e.name, e.slowed_at, e.next_at, NULL::text,
         'the ' || CASE WHEN e.tenant_id <> '' THEN 'channel ' || e.name || ' of the tenant ' || e.tenant_id ELSE e.scope || ' ' || e.name END
         || CASE WHEN e.scope = 'destination' THEN ' may get ' ELSE ' may send ' END || noti.rate_words(e.rate * e.pace)
         || CASE WHEN e.slowed_at IS NOT NULL THEN ' (' || noti.rate_words(e.rate) || ' before it found us too fast at ' || noti.instant(e.slowed_at) || ')' ELSE '' END
         || ', and has none left before ' || noti.instant(e.next_at),
         CASE WHEN e.slowed_at IS NOT NULL THEN 'slowed' END
    FROM empty e
   WHERE n.due_at <= clock_timestamp()
     AND (e.scope = 'tenant channel' AND e.tenant_id = n.tenant_id AND e.name = n.channel
          OR e.scope = 'destination' AND e.name = noti.destination(n.channel, n.recipient)
          OR e.scope = 'account' AND e.name IN (SELECT a.account FROM able a)
             AND NOT EXISTS (SELECT FROM able a WHERE a.account NOT IN (SELECT x.name FROM empty x WHERE x.scope = 'account')))
   ORDER BY e.next_at DESC, e.scope, e.name
$$;
