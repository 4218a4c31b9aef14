-- No worker lives. One that is in the register was heard of: it may run and not reach the database (`code` silent).
-- A standby cannot tell.
CREATE OR REPLACE FUNCTION noti.obstacle_no_worker(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'no_worker', 'everything', NULL::text, max(w.heartbeat), NULL::timestamptz, NULL::text,
         CASE WHEN count(*) = 0 THEN 'no worker is running: start one'
              ELSE 'no worker was heard of since ' || noti.instant(max(w.heartbeat)) || ': see that one runs and reaches the database' END,
         CASE WHEN count(*) = 0 THEN 'none' ELSE 'silent' END
    FROM noti.registered() w
  HAVING NOT EXISTS (SELECT FROM noti.living) AND NOT pg_is_in_recovery()
$$;
