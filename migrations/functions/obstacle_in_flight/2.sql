-- A worker has it in hand; `code` is what was requested meanwhile.
CREATE OR REPLACE FUNCTION noti.obstacle_in_flight(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'in_flight', 'worker', n.claimed_by::text, NULL::timestamptz, n.lease_until, NULL::text,
         'worker ' || n.claimed_by::text || ' is sending it; its lease '
         || CASE WHEN n.lease_until < clock_timestamp() THEN 'ended at ' ELSE 'ends at ' END || noti.instant(n.lease_until)
         || CASE n.requested WHEN 'cancelled' THEN '; unless this try settles it, it is cancelled'
                             WHEN 'held' THEN '; unless this try settles it, it is held' ELSE '' END, n.requested
   WHERE n.claimed_by IS NOT NULL AND NOT noti.lost(n)
$$;
