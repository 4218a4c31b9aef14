-- Do not send it any more. The four moves (cancel, hold, release, requeue) give the status after the call, 'cancelled requested'
-- or 'held requested' for a row in flight, NULL for an unknown id. What does not apply changes nothing.
CREATE OR REPLACE FUNCTION noti.cancel(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = 'cancelled' WHERE n.notification_id = id AND n.finished_at IS NULL
  RETURNING coalesce(n.requested || ' requested', n.status) INTO answer;
  IF NOT FOUND THEN SELECT n.status INTO answer FROM noti.notifications_log n WHERE n.notification_id = id; END IF;
  RETURN answer;
END $$;
