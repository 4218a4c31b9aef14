-- Its time has not come.
CREATE OR REPLACE FUNCTION noti.obstacle_not_due(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'not_due', 'notification', NULL::text, NULL::timestamptz, n.due_at, NULL::text, 'at ' || noti.instant(n.due_at), NULL::text
   WHERE n.due_at > clock_timestamp()
$$;
