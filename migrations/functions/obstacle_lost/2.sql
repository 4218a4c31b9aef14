-- Its claim was lost: another worker takes it over, and does with it what was requested (`code`) or what the permits say.
CREATE OR REPLACE FUNCTION noti.obstacle_lost(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'lost_claim', 'worker', n.claimed_by::text, NULL::timestamptz, n.lease_until, NULL::text,
         'worker ' || n.claimed_by::text || ' was lost: another worker takes it over'
         || CASE WHEN n.requested = 'cancelled' THEN ' and cancels it, as requested'
                 WHEN n.requested = 'held' THEN ' and holds it, as requested'
                 WHEN n.lost_count >= 4 THEN ' and writes it off as failed, because it was lost with five workers in a row'
                 WHEN n.dispatched_at IS NOT NULL THEN
                   CASE n.on_uncertain WHEN 'fail' THEN ' and writes it off as failed' WHEN 'hold' THEN ' and parks it as unknown'
                                       ELSE ' and does as its channel says, parks it or writes it off' END
                   || ', because it may have been sent' || coalesce(' (on_uncertain = ' || n.on_uncertain || ')', '')
                 WHEN n.expires_at <= clock_timestamp() THEN ' and writes it off, because it expired'
                 WHEN n.on_uncertain IN ('hold', 'fail') THEN ' and sends it; it was surely not sent before'
                 ELSE ' and sends it; if the one before did, too, it arrives twice' END,
         n.requested
   WHERE noti.lost(n)
$$;
