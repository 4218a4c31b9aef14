-- How a notification ended, as its audit trail tells: the status, the kind of a failure, the reason, and whether by a try.
CREATE OR REPLACE FUNCTION noti.end_of(id bigint) RETURNS TABLE (status text, kind text, reason text, tried boolean)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT substr(a.action, length('notification_') + 1), a.metadata->>'kind', a.metadata->>'reason', a.metadata ? 'attempt'
    FROM noti.audit_log a
   WHERE a.entity_type = 'notification' AND a.entity_id = end_of.id::text
     AND a.action IN ('notification_sent', 'notification_failed', 'notification_expired', 'notification_suppressed', 'notification_cancelled')
   ORDER BY a.created_at DESC, a.audit_id DESC
   LIMIT 1
$$;
