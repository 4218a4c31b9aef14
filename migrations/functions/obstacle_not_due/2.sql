-- Its time has not come. What waits for quiet hours to end, a send window to open or a cap says so: it has the last word of the row.
CREATE OR REPLACE FUNCTION noti.obstacle_not_due(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'not_due', 'notification', NULL::text, NULL::timestamptz, n.due_at, NULL::text,
         'at ' || noti.instant(n.due_at)
         || coalesce((SELECT ': ' || noti.masked(l.error_message, NULL)
                        FROM noti.notifications_log l
                       WHERE l.notification_id = n.notification_id AND l.status = 'retrying'
                         AND l.error_message ~ '^(quiet hours|the send window|over the cap)'), ''), NULL::text
   WHERE n.due_at > clock_timestamp()
$$;
