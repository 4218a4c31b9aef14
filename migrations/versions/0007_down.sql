-- The rules as 0005 has them.
ALTER TABLE noti.notifications_log RENAME CONSTRAINT notifications_log_sane TO notifications_log_sane_0007;
ALTER TABLE noti.notifications_log
  ADD CONSTRAINT notifications_log_sane CHECK (
        channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND priority IN ('low', 'normal', 'high', 'urgent')
    AND status IN ('pending', 'sending', 'retrying', 'held', 'sent', 'failed', 'cancelled', 'suppressed', 'expired', 'unknown')
    AND on_uncertain IN ('retry', 'hold', 'fail')
    AND num_nulls(body, template_id) < 2
    AND num_nulls(entity_type, entity_id) <> 1
    -- the label, the times and the claim tell the same story
    AND (finished_at IS NOT NULL) = (status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
    AND (held_at IS NOT NULL) = (status IN ('held', 'unknown'))
    AND (sent_at IS NOT NULL) = (status = 'sent')
    AND (failed_at IS NOT NULL) = (status = 'failed')
    AND (claimed_by IS NOT NULL) = (status = 'sending')
    AND num_nulls(claimed_by, lease_until) <> 1
    AND (claimed_by IS NOT NULL OR num_nonnulls(dispatched_at, requested) = 0)
    AND requested IN ('cancelled', 'held')
    -- one infinity, or one number at its end, must not poison a batch
    AND least(claim_count, attempt_count, lost_count, retry_count, max_retries) >= 0
    AND greatest(claim_count, attempt_count) <= 1000000000
    AND greatest(lost_count, retry_count) <= 1000000
    AND max_retries <= 1000
    AND least(created_at, updated_at, next_retry_at, send_at, expires_at, finished_at, held_at, sent_at, failed_at,
              lease_until, dispatched_at) >= '2000-01-01 00:00+00'
    AND greatest(created_at, updated_at, next_retry_at, send_at, expires_at, finished_at, held_at, sent_at, failed_at,
                 lease_until, dispatched_at) <= '2200-01-01 00:00+00'
    -- sizes in bytes
    AND tenant_id <> '' AND recipient <> ''
    AND octet_length(locale) <= 64
    AND greatest(octet_length(tenant_id), octet_length(entity_type)) <= 128
    AND greatest(octet_length(entity_id), octet_length(template_id), octet_length(idempotency_key), octet_length(category),
                 octet_length(provider), octet_length(collapse_key), octet_length(traceparent)) <= 256
    AND greatest(octet_length(recipient), octet_length(subject)) <= 4096
    AND octet_length(error_message) <= 8192
    AND octet_length(body) <= 1048576
    AND greatest(pg_column_size(template_data), pg_column_size(options), pg_column_size(metadata)) <= 262144),
  DROP CONSTRAINT notifications_log_sane_0007;

DROP TRIGGER notifications_log_odd ON noti.notifications_log;
CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN (num_nulls(NEW.tenant_id, NEW.status, NEW.priority, NEW.max_retries, NEW.message_id, NEW.created_at, NEW.updated_at,
                  NEW.claim_count, NEW.attempt_count, NEW.lost_count, NEW.retry_count, NEW.channel, NEW.recipient) > 0
    OR num_nonnulls(NEW.claimed_by, NEW.lease_until, NEW.dispatched_at, NEW.requested, NEW.next_retry_at,
                    NEW.finished_at, NEW.held_at, NEW.sent_at, NEW.failed_at) > 0
    OR (NEW.claim_count | NEW.attempt_count | NEW.lost_count | NEW.retry_count) <> 0
    OR NEW.status <> 'pending'
    OR NEW.channel NOT IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    OR NEW.priority NOT IN ('low', 'normal', 'high', 'urgent')
    OR NEW.on_uncertain NOT IN ('retry', 'hold', 'fail')
    OR num_nulls(NEW.body, NEW.template_id) = 2
    OR num_nulls(NEW.entity_type, NEW.entity_id) = 1
    OR NEW.max_retries < 0 OR NEW.max_retries > 1000
    OR least(NEW.created_at, NEW.updated_at, NEW.send_at, NEW.expires_at) < '2000-01-01 00:00+00'
    OR greatest(NEW.created_at, NEW.updated_at, NEW.send_at, NEW.expires_at) > '2200-01-01 00:00+00'
    OR NEW.tenant_id = '' OR NEW.recipient = ''
    OR octet_length(NEW.locale) > 64
    OR greatest(octet_length(NEW.tenant_id), octet_length(NEW.entity_type)) > 128
    OR greatest(octet_length(NEW.entity_id), octet_length(NEW.template_id), octet_length(NEW.idempotency_key),
                octet_length(NEW.category), octet_length(NEW.provider), octet_length(NEW.collapse_key),
                octet_length(NEW.traceparent)) > 256
    OR greatest(octet_length(NEW.recipient), octet_length(NEW.subject)) > 4096
    OR octet_length(NEW.error_message) > 8192
    OR octet_length(NEW.body) > 1048576
    OR greatest(pg_column_size(NEW.template_data), pg_column_size(NEW.options), pg_column_size(NEW.metadata)) > 262144)
  EXECUTE FUNCTION noti.on_odd_insert();

CREATE OR REPLACE FUNCTION noti.on_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who constant text := coalesce(nullif(current_setting('role', true), 'none'), session_user);
BEGIN
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  SELECT i.tenant_id, 'notification', i.notification_id::text, 'notification_triggered', 'db', who,
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

DROP FUNCTION noti.sound(record);
