-- A held or unknown row goes on; a hold that was asked for while a try is in flight is withdrawn.
CREATE OR REPLACE FUNCTION noti.release(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = CASE WHEN n.held_at IS NOT NULL THEN 'pending' ELSE n.status END, requested = NULL
   WHERE n.notification_id = id AND (n.held_at IS NOT NULL OR n.requested = 'held')
  RETURNING n.status INTO answer;
  IF NOT FOUND THEN
    SELECT coalesce(n.requested || ' requested', n.status) INTO answer FROM noti.notifications_log n WHERE n.notification_id = id;
  END IF;
  RETURN answer;
END $$;
