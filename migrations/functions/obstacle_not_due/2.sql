-- Its time has not come. What waits for quiet hours to end, a send window to open or a cap says so: it has the last word of the row.
CREATE OR REPLACE FUNCTION noti.obstacle_not_due(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'not_due', 'notification', NULL::text, NULL::timestamptz, n.due_at, NULL::text,
         'at ' || noti.instant(n.due_at)
         || CASE WHEN n.status = 'retrying' AND n.error_message ~ '^(quiet hours|the send window|over the cap)'
                 THEN ': ' || noti.masked(n.error_message, NULL) ELSE '' END, NULL::text
   WHERE n.due_at > clock_timestamp()
$$;
