CREATE TRIGGER notifications_log_max_retries BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN (NEW.max_retries IS NULL) EXECUTE FUNCTION noti.on_unsaid_retries();
CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN ((NEW.status = 'pending' AND NEW.next_retry_at IS NULL
     AND 0 = ALL (ARRAY[NEW.claim_count, NEW.attempt_count, NEW.lost_count, NEW.retry_count])
     AND num_nulls(NEW.tenant_id, NEW.channel, NEW.priority, NEW.recipient, NEW.message_id, NEW.created_at,
                   NEW.updated_at) = 0) IS NOT TRUE)
  EXECUTE FUNCTION noti.on_odd_insert();
DELETE FROM noti.rights WHERE privilege = 'EXECUTE' AND object IN ('said', 'too_large');
UPDATE noti.rights SET columns = array_prepend('message_id', columns)
 WHERE (role, privilege, object) = ('noti_app', 'INSERT', 'notifications_log');
