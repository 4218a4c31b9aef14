-- Somebody's open transaction holds its row: `name` is the process, `by` the application, `code` what that does just now.
-- What our own workers and commands lock, they let go in a moment. Told to those who may ask noti.locked_by.
CREATE OR REPLACE FUNCTION noti.obstacle_locked(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF n.due_at <= clock_timestamp() AND has_function_privilege('noti.locked_by(bigint)', 'EXECUTE') THEN
    RETURN QUERY
      SELECT 'locked', 'session', l.pid::text, l.since, NULL::timestamptz, nullif(l.application, ''),
             coalesce('the process ' || l.pid::text, 'a prepared transaction') || coalesce(' of ' || nullif(l.application, ''), '')
             || ' holds its row locked' || coalesce(', ' || l.state, '') || coalesce(', since ' || noti.instant(l.since), '')
             || CASE WHEN n.claimed_by IS NULL THEN ': a worker takes it' ELSE ': what became of it is recorded' END
             || ' when that transaction ends', l.state
        FROM noti.locked_by(n.notification_id) AS l
       WHERE coalesce(l.application, '') NOT LIKE 'noti-worker%';
  END IF;
END $$;
