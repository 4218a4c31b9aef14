-- A row that waits, alone or for its digest, is set aside until somebody releases it; one that is being sent is set aside after this try, unless that
-- settles it. The four moves (cancel, hold, release, requeue) answer alike: see cancel.
CREATE OR REPLACE FUNCTION noti.hold(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = 'held' WHERE n.notification_id = id AND n.finished_at IS NULL AND (n.held_at IS NULL OR n.status = 'gathering')
  RETURNING coalesce(n.requested || ' requested', n.status) INTO answer;
  IF NOT FOUND THEN SELECT n.status INTO answer FROM noti.notifications_log n WHERE n.notification_id = id; END IF;
  RETURN answer;
END $$;
