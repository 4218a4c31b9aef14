-- Two triggers before an insert: one fills in the retries that were not given, which is most rows; the other looks at what is
-- not new, or names a NULL where there must be a value. The first by name comes first.
CREATE TRIGGER notifications_log_max_retries BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN (NEW.max_retries IS NULL) EXECUTE FUNCTION noti.on_unsaid_retries();
DROP TRIGGER notifications_log_odd ON noti.notifications_log;
CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN ((NEW.status = 'pending' AND NEW.next_retry_at IS NULL
     AND 0 = ALL (ARRAY[NEW.claim_count, NEW.attempt_count, NEW.lost_count, NEW.retry_count])
     AND num_nulls(NEW.tenant_id, NEW.channel, NEW.priority, NEW.recipient, NEW.message_id, NEW.created_at,
                   NEW.updated_at) = 0) IS NOT TRUE)
  EXECUTE FUNCTION noti.on_odd_insert();
