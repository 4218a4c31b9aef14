-- Held, or unknown after an uncertain try: a person decides.
CREATE OR REPLACE FUNCTION noti.obstacle_parked(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT n.status, 'notification', NULL::text, n.held_at, NULL::timestamptz, NULL::text,
         CASE WHEN noti.may_have_arrived(n.notification_id)
              THEN 'waits for a person: it may have been sent, so ask the provider by the message id; release sends it again, cancel does not'
              ELSE 'waits for a person: release sends it, cancel does not' END, NULL::text
   WHERE n.held_at IS NOT NULL
$$;
