-- Held, or unknown after an uncertain try: a person decides. Gathering: its digest goes out by itself.
CREATE OR REPLACE FUNCTION noti.obstacle_parked(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT n.status, 'notification', NULL::text, n.held_at, CASE WHEN n.status = 'gathering' THEN n.due_at END, NULL::text,
         CASE WHEN n.status = 'gathering' THEN
                CASE WHEN n.due_at > clock_timestamp() - interval '1 minute' THEN 'gathers until ' || noti.instant(n.due_at)
                     ELSE 'its digest should have gone out at ' || noti.instant(n.due_at) || ', and no worker has done it; it gathers' END
                || ', and goes out in one message with the others of its digest_key; release sends it now and alone, cancel does not send it'
              WHEN noti.may_have_arrived(n.notification_id)
              THEN 'waits for a person: it may have been sent, so ask the provider by the message id; release sends it again, cancel does not'
              ELSE 'waits for a person: release sends it, cancel does not' END, NULL::text
   WHERE n.held_at IS NOT NULL
$$;
