-- Its claim was lost: another worker takes it over, and does what was requested (`code`).
CREATE OR REPLACE FUNCTION noti.obstacle_lost(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'lost_claim', 'worker', n.claimed_by::text, NULL::timestamptz, n.lease_until, NULL::text,
         'worker ' || n.claimed_by::text || ' was lost: another worker takes it over'
         || CASE n.requested WHEN 'cancelled' THEN ' and cancels it, as requested' WHEN 'held' THEN ' and holds it, as requested' ELSE '' END,
         n.requested
   WHERE noti.lost(n)
$$;
