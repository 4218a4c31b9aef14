-- Which sessions hold a row locked, so that no worker can take it; asks for the mark that a lock leaves on the row, which
-- applications and operators may not read. A prepared transaction has no process. A mark of an application's foreign key
-- looks the same when it is alone, though it keeps no worker back.
CREATE OR REPLACE FUNCTION noti.locked_by(id bigint) RETURNS TABLE (pid int, application text, state text, since timestamptz)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  mark    xid;
  holders xid[];
BEGIN
  SELECT n.xmax INTO mark FROM noti.notifications_log n
   WHERE n.notification_id = locked_by.id AND noti.sees_tenant(n.tenant_id);
  IF mark IS NULL OR mark::text = '0' THEN
    RETURN;
  END IF;
  holders := ARRAY[mark];
  IF NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'transactionid' AND l.transactionid = mark AND l.granted) THEN
    BEGIN   -- several at once are numbered apart
      holders := ARRAY(SELECT m.xid FROM pg_get_multixact_members(mark) AS m WHERE m.mode <> 'keysh');
    EXCEPTION WHEN OTHERS THEN
      RETURN;   -- it was one, and is over
    END;
  END IF;
  RETURN QUERY
    SELECT l.pid, a.application_name, a.state, a.xact_start
      FROM pg_locks l
      LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'transactionid' AND l.granted AND l.mode = 'ExclusiveLock' AND l.transactionid = ANY (holders)
       AND l.pid IS DISTINCT FROM pg_backend_pid()
     ORDER BY a.xact_start, l.pid;
END $$;
