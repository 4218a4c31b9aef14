-- Requeue a notification that was not sent, with a correction: what is not given stays. Who may do this need not read content,
-- and changes nothing but what has ended; the audit log tells which columns. Gives the status after the call, as noti.requeue does.
CREATE OR REPLACE FUNCTION noti.correct(id bigint, recipient text DEFAULT NULL, subject text DEFAULT NULL, body text DEFAULT NULL, options jsonb DEFAULT NULL)
  RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n
     SET status = 'pending',
         recipient = coalesce(correct.recipient, n.recipient),
         subject = coalesce(correct.subject, n.subject),
         body = coalesce(correct.body, n.body),
         options = coalesce(correct.options, n.options)
   WHERE n.notification_id = correct.id AND noti.sees_tenant(n.tenant_id) AND n.status IN ('failed', 'expired', 'cancelled', 'suppressed') AND n.recipient <> '[erased]'
  RETURNING n.status INTO answer;
  IF NOT FOUND THEN
    SELECT coalesce(n.requested || ' requested', n.status) INTO answer FROM noti.notifications_log n
     WHERE n.notification_id = correct.id AND noti.sees_tenant(n.tenant_id);
  END IF;
  RETURN answer;
END $$;
