-- It may not be sent any more.
CREATE OR REPLACE FUNCTION noti.obstacle_expired(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'expired', 'notification', NULL::text, n.expires_at, NULL::timestamptz, NULL::text,
         'it expired at ' || noti.instant(n.expires_at) || ': the next worker that takes it writes it off', NULL::text
   WHERE n.expires_at <= clock_timestamp()
$$;
