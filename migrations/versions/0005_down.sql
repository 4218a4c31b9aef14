-- The rules as 0001 has them.
ALTER TABLE noti.notifications_log RENAME CONSTRAINT notifications_log_sane TO notifications_log_sane_0005;
ALTER TABLE noti.notifications_log
  ADD CONSTRAINT notifications_log_sane CHECK (
        channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND priority IN ('low', 'normal', 'high', 'urgent')
    AND status IN ('pending', 'sending', 'retrying', 'held', 'sent', 'failed', 'cancelled', 'suppressed', 'expired', 'unknown')
    AND on_uncertain IN ('retry', 'hold', 'fail')
    AND (body IS NOT NULL OR template_id IS NOT NULL)
    AND (entity_type IS NULL) = (entity_id IS NULL)
    -- the label, the times and the claim tell the same story
    AND (finished_at IS NOT NULL) = (status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
    AND (held_at IS NOT NULL) = (status IN ('held', 'unknown'))
    AND (sent_at IS NOT NULL) = (status = 'sent')
    AND (failed_at IS NOT NULL) = (status = 'failed')
    AND (claimed_by IS NOT NULL) = (status = 'sending')
    AND (claimed_by IS NULL) = (lease_until IS NULL)
    AND (dispatched_at IS NULL OR claimed_by IS NOT NULL)
    AND (requested IS NULL OR (requested IN ('cancelled', 'held') AND claimed_by IS NOT NULL))
    -- one infinity, or one number at its end, must not poison a batch
    AND claim_count >= 0 AND claim_count <= 1000000000
    AND attempt_count >= 0 AND attempt_count <= 1000000000
    AND lost_count >= 0 AND lost_count <= 1000000
    AND retry_count >= 0 AND retry_count <= 1000000
    AND max_retries >= 0 AND max_retries <= 1000
    AND created_at >= '2000-01-01 00:00+00' AND created_at <= '2200-01-01 00:00+00'
    AND updated_at >= '2000-01-01 00:00+00' AND updated_at <= '2200-01-01 00:00+00'
    AND next_retry_at >= '2000-01-01 00:00+00' AND next_retry_at <= '2200-01-01 00:00+00'
    AND send_at >= '2000-01-01 00:00+00' AND send_at <= '2200-01-01 00:00+00'
    AND expires_at >= '2000-01-01 00:00+00' AND expires_at <= '2200-01-01 00:00+00'
    AND finished_at >= '2000-01-01 00:00+00' AND finished_at <= '2200-01-01 00:00+00'
    AND held_at >= '2000-01-01 00:00+00' AND held_at <= '2200-01-01 00:00+00'
    AND sent_at >= '2000-01-01 00:00+00' AND sent_at <= '2200-01-01 00:00+00'
    AND failed_at >= '2000-01-01 00:00+00' AND failed_at <= '2200-01-01 00:00+00'
    AND lease_until >= '2000-01-01 00:00+00' AND lease_until <= '2200-01-01 00:00+00'
    AND dispatched_at >= '2000-01-01 00:00+00' AND dispatched_at <= '2200-01-01 00:00+00'
    -- sizes in bytes
    AND octet_length(tenant_id) >= 1 AND octet_length(tenant_id) <= 128
    AND octet_length(recipient) >= 1 AND octet_length(recipient) <= 4096
    AND octet_length(entity_type) <= 128 AND octet_length(entity_id) <= 256
    AND octet_length(subject) <= 4096 AND octet_length(body) <= 1048576
    AND octet_length(template_id) <= 256 AND octet_length(locale) <= 64
    AND octet_length(idempotency_key) <= 256 AND octet_length(category) <= 256
    AND octet_length(provider) <= 256 AND octet_length(collapse_key) <= 256
    AND octet_length(traceparent) <= 256 AND octet_length(error_message) <= 8192
    AND pg_column_size(template_data) <= 262144 AND pg_column_size(options) <= 262144 AND pg_column_size(metadata) <= 262144),
  DROP CONSTRAINT notifications_log_sane_0005;

DROP TRIGGER notifications_log_odd ON noti.notifications_log;
CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN (
    -- explicit NULLs
    NEW.tenant_id IS NULL OR NEW.status IS NULL OR NEW.priority IS NULL OR NEW.max_retries IS NULL OR NEW.message_id IS NULL
    OR NEW.created_at IS NULL OR NEW.updated_at IS NULL OR NEW.claim_count IS NULL OR NEW.attempt_count IS NULL
    OR NEW.lost_count IS NULL OR NEW.retry_count IS NULL OR NEW.channel IS NULL OR NEW.recipient IS NULL
    -- the workers' columns, and history
    OR NEW.status <> 'pending'
    OR NEW.claimed_by IS NOT NULL OR NEW.lease_until IS NOT NULL OR NEW.dispatched_at IS NOT NULL OR NEW.requested IS NOT NULL
    OR NEW.next_retry_at IS NOT NULL
    OR NEW.claim_count <> 0 OR NEW.attempt_count <> 0 OR NEW.lost_count <> 0 OR NEW.retry_count <> 0
    -- the wall, word for word
    OR NOT (
        NEW.channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND NEW.priority IN ('low', 'normal', 'high', 'urgent')
    AND NEW.status IN ('pending', 'sending', 'retrying', 'held', 'sent', 'failed', 'cancelled', 'suppressed', 'expired', 'unknown')
    AND NEW.on_uncertain IN ('retry', 'hold', 'fail')
    AND (NEW.body IS NOT NULL OR NEW.template_id IS NOT NULL)
    AND (NEW.entity_type IS NULL) = (NEW.entity_id IS NULL)
    AND (NEW.finished_at IS NOT NULL) = (NEW.status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
    AND (NEW.held_at IS NOT NULL) = (NEW.status IN ('held', 'unknown'))
    AND (NEW.sent_at IS NOT NULL) = (NEW.status = 'sent')
    AND (NEW.failed_at IS NOT NULL) = (NEW.status = 'failed')
    AND (NEW.claimed_by IS NOT NULL) = (NEW.status = 'sending')
    AND (NEW.claimed_by IS NULL) = (NEW.lease_until IS NULL)
    AND (NEW.dispatched_at IS NULL OR NEW.claimed_by IS NOT NULL)
    AND (NEW.requested IS NULL OR (NEW.requested IN ('cancelled', 'held') AND NEW.claimed_by IS NOT NULL))
    AND NEW.claim_count >= 0 AND NEW.claim_count <= 1000000000
    AND NEW.attempt_count >= 0 AND NEW.attempt_count <= 1000000000
    AND NEW.lost_count >= 0 AND NEW.lost_count <= 1000000
    AND NEW.retry_count >= 0 AND NEW.retry_count <= 1000000
    AND NEW.max_retries >= 0 AND NEW.max_retries <= 1000
    AND NEW.created_at >= '2000-01-01 00:00+00' AND NEW.created_at <= '2200-01-01 00:00+00'
    AND NEW.updated_at >= '2000-01-01 00:00+00' AND NEW.updated_at <= '2200-01-01 00:00+00'
    AND NEW.next_retry_at >= '2000-01-01 00:00+00' AND NEW.next_retry_at <= '2200-01-01 00:00+00'
    AND NEW.send_at >= '2000-01-01 00:00+00' AND NEW.send_at <= '2200-01-01 00:00+00'
    AND NEW.expires_at >= '2000-01-01 00:00+00' AND NEW.expires_at <= '2200-01-01 00:00+00'
    AND NEW.finished_at >= '2000-01-01 00:00+00' AND NEW.finished_at <= '2200-01-01 00:00+00'
    AND NEW.held_at >= '2000-01-01 00:00+00' AND NEW.held_at <= '2200-01-01 00:00+00'
    AND NEW.sent_at >= '2000-01-01 00:00+00' AND NEW.sent_at <= '2200-01-01 00:00+00'
    AND NEW.failed_at >= '2000-01-01 00:00+00' AND NEW.failed_at <= '2200-01-01 00:00+00'
    AND NEW.lease_until >= '2000-01-01 00:00+00' AND NEW.lease_until <= '2200-01-01 00:00+00'
    AND NEW.dispatched_at >= '2000-01-01 00:00+00' AND NEW.dispatched_at <= '2200-01-01 00:00+00'
    AND octet_length(NEW.tenant_id) >= 1 AND octet_length(NEW.tenant_id) <= 128
    AND octet_length(NEW.recipient) >= 1 AND octet_length(NEW.recipient) <= 4096
    AND octet_length(NEW.entity_type) <= 128 AND octet_length(NEW.entity_id) <= 256
    AND octet_length(NEW.subject) <= 4096 AND octet_length(NEW.body) <= 1048576
    AND octet_length(NEW.template_id) <= 256 AND octet_length(NEW.locale) <= 64
    AND octet_length(NEW.idempotency_key) <= 256 AND octet_length(NEW.category) <= 256
    AND octet_length(NEW.provider) <= 256 AND octet_length(NEW.collapse_key) <= 256
    AND octet_length(NEW.traceparent) <= 256 AND octet_length(NEW.error_message) <= 8192
    AND pg_column_size(NEW.template_data) <= 262144 AND pg_column_size(NEW.options) <= 262144 AND pg_column_size(NEW.metadata) <= 262144))
  EXECUTE FUNCTION noti.on_odd_insert();

CREATE OR REPLACE FUNCTION noti.on_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  SELECT i.tenant_id, 'notification', i.notification_id::text, 'notification_triggered', 'db', noti.actor(),
         jsonb_strip_nulls(jsonb_build_object(
           'status', i.status, 'channel', i.channel, 'priority', i.priority, 'entity_type', i.entity_type,
           'entity_id', i.entity_id, 'template_id', i.template_id, 'send_at', i.send_at, 'expires_at', i.expires_at))
  FROM inserted i;
  IF FOUND AND lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND EXISTS (SELECT 1 FROM inserted i WHERE i.finished_at IS NULL AND i.held_at IS NULL
                  AND i.due_at <= clock_timestamp() + interval '10 seconds')
     AND pg_try_advisory_xact_lock(7700140 + pg_backend_pid() % 8) THEN
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
