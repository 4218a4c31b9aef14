-- What is wrong with the values of a row, and what to do about it; NULL when it is sound.
-- Says in words what the CHECK notifications_log_sane guards as a wall.
CREATE OR REPLACE FUNCTION noti.fault(n noti.notifications_log) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  early constant timestamptz := '2000-01-01 00:00+00';
  late  constant timestamptz := '2200-01-01 00:00+00';
  wrong text;
BEGIN
  CASE
    WHEN n.channel IS NULL THEN RETURN 'channel is missing. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.';
    WHEN n.channel NOT IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
      RETURN 'channel is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.';
    WHEN n.recipient IS NULL OR n.recipient = '' THEN RETURN 'recipient is missing. Give one address for the channel.';
    WHEN n.body IS NULL AND n.template_id IS NULL THEN RETURN 'there is nothing to send. Give a body or a template_id.';
    WHEN n.priority NOT IN ('low', 'normal', 'high', 'urgent') THEN RETURN 'priority is unknown. Give one of low, normal, high, urgent.';
    WHEN n.status NOT IN ('pending', 'sending', 'retrying', 'held', 'gathering', 'sent', 'failed', 'cancelled', 'suppressed', 'expired', 'unknown') THEN
      RETURN 'status is unknown. Leave it out for a new notification, or set cancelled, held or pending.';
    WHEN n.on_uncertain NOT IN ('retry', 'hold', 'fail') THEN RETURN 'on_uncertain is unknown. Give one of retry, hold, fail, or leave it out.';
    WHEN (n.entity_type IS NULL) <> (n.entity_id IS NULL) THEN RETURN 'entity_type and entity_id come together. Give both or neither.';
    WHEN n.max_retries < 0 OR n.max_retries > 1000 THEN RETURN 'max_retries is out of range. Give a number from 0 to 1000.';
    WHEN n.template_version < 1 THEN RETURN 'template_version is out of range. Give the number of a version, or leave it out for the newest.';
    WHEN n.tenant_id = '' THEN RETURN 'tenant_id is empty. Leave it out for the default tenant.';
    ELSE NULL;
  END CASE;
  wrong := CASE
    WHEN n.tenant_id IS NULL THEN 'tenant_id'
    WHEN n.priority IS NULL THEN 'priority'
    WHEN n.status IS NULL THEN 'status'
    WHEN n.max_retries IS NULL THEN 'max_retries'
    WHEN n.message_id IS NULL THEN 'message_id'
    WHEN n.created_at IS NULL THEN 'created_at'
    WHEN n.updated_at IS NULL THEN 'updated_at' END;
  IF wrong IS NOT NULL THEN
    RETURN wrong || ' is null. Leave the column out or give a value.';
  END IF;
  wrong := CASE
    WHEN n.send_at < early OR n.send_at > late THEN 'send_at'
    WHEN n.expires_at < early OR n.expires_at > late THEN 'expires_at'
    WHEN n.created_at < early OR n.created_at > late THEN 'created_at'
    WHEN n.updated_at < early OR n.updated_at > late THEN 'updated_at'
    WHEN n.next_retry_at < early OR n.next_retry_at > late THEN 'next_retry_at'
    WHEN n.finished_at < early OR n.finished_at > late THEN 'finished_at'
    WHEN n.held_at < early OR n.held_at > late THEN 'held_at'
    WHEN n.sent_at < early OR n.sent_at > late THEN 'sent_at'
    WHEN n.failed_at < early OR n.failed_at > late THEN 'failed_at' END;
  IF wrong IS NOT NULL THEN
    RETURN wrong || ' is not a sensible time. Give one between the years 2000 and 2200 (infinity is none).';
  END IF;
  wrong := CASE
    WHEN octet_length(n.recipient) > 4096 THEN 'recipient is larger than 4096 bytes'
    WHEN octet_length(n.subject) > 4096 THEN 'subject is larger than 4096 bytes'
    WHEN octet_length(n.body) > 1048576 THEN 'body is larger than 1 MB'
    WHEN octet_length(n.tenant_id) > 128 THEN 'tenant_id is larger than 128 bytes'
    WHEN octet_length(n.entity_type) > 128 THEN 'entity_type is larger than 128 bytes'
    WHEN octet_length(n.entity_id) > 256 THEN 'entity_id is larger than 256 bytes'
    WHEN octet_length(n.template_id) > 256 THEN 'template_id is larger than 256 bytes'
    WHEN octet_length(n.locale) > 64 THEN 'locale is larger than 64 bytes'
    WHEN octet_length(n.idempotency_key) > 256 THEN 'idempotency_key is larger than 256 bytes'
    WHEN octet_length(n.category) > 256 THEN 'category is larger than 256 bytes'
    WHEN octet_length(n.provider) > 256 THEN 'provider is larger than 256 bytes'
    WHEN octet_length(n.collapse_key) > 256 THEN 'collapse_key is larger than 256 bytes'
    WHEN octet_length(n.digest_key) > 256 THEN 'digest_key is larger than 256 bytes'
    WHEN octet_length(n.traceparent) > 256 THEN 'traceparent is larger than 256 bytes'
    WHEN octet_length(n.error_message) > 8192 THEN 'error_message is larger than 8192 bytes'
    WHEN pg_column_size(n.template_data) > 262144 THEN 'template_data is larger than 256 kB'
    WHEN pg_column_size(n.options) > 262144 THEN 'options is larger than 256 kB'
    WHEN pg_column_size(n.metadata) > 262144 THEN 'metadata is larger than 256 kB' END;
  IF wrong IS NOT NULL THEN
    RETURN wrong || '. Make it smaller, or store it elsewhere and send a link.';
  END IF;
  IF (n.finished_at IS NOT NULL) <> (n.status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
     OR (n.held_at IS NOT NULL) <> (n.status IN ('held', 'unknown', 'gathering'))
     OR (n.sent_at IS NOT NULL) <> (n.status = 'sent') OR (n.failed_at IS NOT NULL) <> (n.status = 'failed') THEN
    RETURN 'finished_at, held_at, sent_at and failed_at follow the status. Leave them out: they are set for you.';
  END IF;
  RETURN NULL;
END $$;
