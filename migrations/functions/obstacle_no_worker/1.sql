-- No worker lives.
CREATE OR REPLACE FUNCTION noti.obstacle_no_worker(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'no_worker', 'everything', NULL::text, NULL::timestamptz, NULL::timestamptz, NULL::text, 'no worker is running: start one', NULL::text
   WHERE NOT EXISTS (SELECT FROM noti.living)
$$;
