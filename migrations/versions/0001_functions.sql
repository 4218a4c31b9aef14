-- For applications. They run with the caller's rights.

-- Queue one message and get its id. Same key and same content give the first message's id, whatever became of it;
-- same key and other content is an error. Content is what the guard calls content.
CREATE FUNCTION noti.send(
    channel text, recipient text, subject text DEFAULT NULL, body text DEFAULT NULL, template_id text DEFAULT NULL,
    template_data jsonb DEFAULT NULL, tenant_id text DEFAULT 'default', entity_type text DEFAULT NULL, entity_id text DEFAULT NULL,
    priority text DEFAULT 'normal', send_at timestamptz DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
    idempotency_key text DEFAULT NULL, max_retries int DEFAULT 3, locale text DEFAULT NULL, category text DEFAULT NULL,
    provider text DEFAULT NULL, collapse_key text DEFAULT NULL, on_uncertain text DEFAULT NULL, options jsonb DEFAULT NULL,
    metadata jsonb DEFAULT NULL, traceparent text DEFAULT NULL)
  RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  id    bigint;
  same  boolean;
  wrong text;
BEGIN
  wrong := CASE WHEN jsonb_typeof(send.options) <> 'object' THEN 'options'
                WHEN jsonb_typeof(send.template_data) <> 'object' THEN 'template_data'
                WHEN jsonb_typeof(send.metadata) <> 'object' THEN 'metadata' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: % is not a JSON object. Give one, or leave it out.', wrong USING ERRCODE = 'check_violation';
  END IF;
  FOR i IN 1..3 LOOP
    INSERT INTO noti.notifications_log (channel, recipient, subject, body, template_id, template_data, tenant_id, entity_type, entity_id,
        priority, send_at, expires_at, idempotency_key, max_retries, locale, category, provider, collapse_key, on_uncertain, options,
        metadata, traceparent)
    VALUES (send.channel, send.recipient, send.subject, send.body, send.template_id, send.template_data, coalesce(send.tenant_id, 'default'),
        send.entity_type, send.entity_id, coalesce(send.priority, 'normal'), send.send_at, send.expires_at, send.idempotency_key,
        coalesce(send.max_retries, 3), send.locale, send.category, send.provider, send.collapse_key, send.on_uncertain, send.options,
        send.metadata, send.traceparent)
    ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING notification_id INTO id;
    IF id IS NOT NULL THEN RETURN id; END IF;
    SELECT n.notification_id,
           (n.channel, n.recipient, n.subject, n.body, n.template_id, n.template_data, n.locale, n.options, n.provider)
           IS NOT DISTINCT FROM
           (send.channel, send.recipient, send.subject, send.body, send.template_id, send.template_data, send.locale, send.options, send.provider)
      INTO id, same
      FROM noti.notifications_log n WHERE n.tenant_id = coalesce(send.tenant_id, 'default') AND n.idempotency_key = send.idempotency_key;
    IF same THEN RETURN id; END IF;
    IF id IS NOT NULL THEN
      RAISE EXCEPTION 'noti: the idempotency key belongs to another message, notification %. Use a new key, or send the same content.', id
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'notifications_log_idempotency';
    END IF;
    -- The other row was deleted in between: try again.
  END LOOP;
  RAISE EXCEPTION 'noti: the idempotency key is contended. Try again.' USING ERRCODE = 'serialization_failure';
END $$;

-- The four moves give the status after the call, 'cancelled requested' or 'held requested' for a row in flight,
-- NULL for an unknown id. What does not apply changes nothing.
CREATE FUNCTION noti.cancel(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = 'cancelled' WHERE n.notification_id = id AND n.finished_at IS NULL
  RETURNING coalesce(n.requested || ' requested', n.status) INTO answer;
  IF NOT FOUND THEN SELECT n.status INTO answer FROM noti.notifications_log n WHERE n.notification_id = id; END IF;
  RETURN answer;
END $$;

CREATE FUNCTION noti.hold(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = 'held' WHERE n.notification_id = id AND n.finished_at IS NULL AND n.held_at IS NULL
  RETURNING coalesce(n.requested || ' requested', n.status) INTO answer;
  IF NOT FOUND THEN SELECT n.status INTO answer FROM noti.notifications_log n WHERE n.notification_id = id; END IF;
  RETURN answer;
END $$;

-- A held or unknown row goes on; a hold that was asked for while a try is in flight is withdrawn.
CREATE FUNCTION noti.release(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = CASE WHEN n.held_at IS NOT NULL THEN 'pending' ELSE n.status END, requested = NULL
   WHERE n.notification_id = id AND (n.held_at IS NOT NULL OR n.requested = 'held')
  RETURNING n.status INTO answer;
  IF NOT FOUND THEN
    SELECT coalesce(n.requested || ' requested', n.status) INTO answer FROM noti.notifications_log n WHERE n.notification_id = id;
  END IF;
  RETURN answer;
END $$;

-- A failed, expired, cancelled or suppressed row starts again with all its tries.
CREATE FUNCTION noti.requeue(id bigint) RETURNS text LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer text;
BEGIN
  UPDATE noti.notifications_log n SET status = 'pending'
   WHERE n.notification_id = id AND n.status IN ('failed', 'expired', 'cancelled', 'suppressed')
  RETURNING n.status INTO answer;
  IF NOT FOUND THEN
    SELECT coalesce(n.requested || ' requested', n.status) INTO answer FROM noti.notifications_log n WHERE n.notification_id = id;
  END IF;
  RETURN answer;
END $$;

-- ------------------------------------------------------------------------------------ views
-- What is not finished, with what it waits for.
CREATE VIEW noti.queue WITH (security_invoker = true) AS
SELECT notification_id, tenant_id, channel, priority, status,
       CASE WHEN held_at IS NOT NULL THEN status
            WHEN claimed_by IS NOT NULL AND lease_until >= statement_timestamp() THEN 'in flight'
            WHEN claimed_by IS NOT NULL THEN 'lost'
            WHEN expires_at <= statement_timestamp() THEN 'expiring'
            WHEN due_at <= statement_timestamp() THEN 'due'
            WHEN next_retry_at IS NOT NULL THEN 'waiting'
            ELSE 'scheduled' END AS state,
       due_at, expires_at, retry_count, max_retries, attempt_count, lost_count, requested, claimed_by, lease_until,
       entity_type, entity_id, template_id, category, error_message, created_at
  FROM noti.notifications_log WHERE finished_at IS NULL;

-- Dead letters: failed for good, until somebody requeues them.
CREATE VIEW noti.dead WITH (security_invoker = true) AS
SELECT notification_id, tenant_id, channel, priority, recipient, failed_at, retry_count, attempt_count, error_message,
       entity_type, entity_id, template_id, category, created_at
  FROM noti.notifications_log WHERE failed_at IS NOT NULL;
