-- A failed, expired, cancelled or suppressed row starts again with all its tries.
CREATE OR REPLACE FUNCTION noti.requeue(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = 'pending'
   WHERE n.notification_id = id AND n.status IN ('failed', 'expired', 'cancelled', 'suppressed')
  RETURNING n.status INTO answer;
  IF NOT FOUND THEN
    SELECT coalesce(n.requested || ' requested', n.status) INTO answer FROM noti.notifications_log n WHERE n.notification_id = id;
  END IF;
  RETURN answer;
END $$;
