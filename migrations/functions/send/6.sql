-- Queue one message and get its id. Same key and same content give the first message's id, whatever became of it;
-- same key and other content is an error. Content is what the guard calls content.
CREATE OR REPLACE FUNCTION noti.send(
    channel text, recipient text, subject text DEFAULT NULL, body text DEFAULT NULL, template_id text DEFAULT NULL,
    template_data jsonb DEFAULT NULL, tenant_id text DEFAULT NULL, entity_type text DEFAULT NULL, entity_id text DEFAULT NULL,
    priority text DEFAULT 'normal', send_at timestamptz DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
    idempotency_key text DEFAULT NULL, max_retries int DEFAULT NULL, locale text DEFAULT NULL, category text DEFAULT NULL,
    provider text DEFAULT NULL, collapse_key text DEFAULT NULL, on_uncertain text DEFAULT NULL, options jsonb DEFAULT NULL,
    metadata jsonb DEFAULT NULL, traceparent text DEFAULT NULL, template_version int DEFAULT NULL, digest_key text DEFAULT NULL)
  RETURNS bigint LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  id    bigint;
  same  boolean;
  wrong text;
BEGIN
  send.tenant_id := coalesce(send.tenant_id, nullif(current_setting('noti.tenant', true), ''), 'default');   -- the role's own
  IF '' = ANY (ARRAY[send.template_id, send.locale, send.provider, send.idempotency_key])
     OR 'null' IN (send.template_data, send.options, send.metadata) THEN   -- nothing was said, see noti.said
    send.template_id := nullif(send.template_id, '');
    send.locale := nullif(send.locale, '');
    send.provider := nullif(send.provider, '');
    send.idempotency_key := nullif(send.idempotency_key, '');
    send.template_data := nullif(send.template_data, 'null');
    send.options := nullif(send.options, 'null');
    send.metadata := nullif(send.metadata, 'null');
  END IF;
  wrong := CASE WHEN jsonb_typeof(send.options) <> 'object' THEN 'options'
                WHEN jsonb_typeof(send.template_data) <> 'object' THEN 'template_data'
                WHEN jsonb_typeof(send.metadata) <> 'object' THEN 'metadata' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: % is not a JSON object. Give one, or leave it out.', wrong USING ERRCODE = 'check_violation';
  END IF;
  IF send.template_version < 1 THEN
    RAISE EXCEPTION 'noti: template_version is out of range. Give the number of a version, or leave it out for the newest.' USING ERRCODE = 'check_violation';
  END IF;
  FOR i IN 1..3 LOOP
    INSERT INTO noti.notifications_log (channel, recipient, subject, body, template_id, template_data, tenant_id, entity_type, entity_id,
        priority, send_at, expires_at, idempotency_key, max_retries, locale, category, provider, collapse_key, on_uncertain, options,
        metadata, traceparent, template_version, digest_key)
    VALUES (send.channel, send.recipient, send.subject, send.body, send.template_id, send.template_data, send.tenant_id,
        send.entity_type, send.entity_id, coalesce(send.priority, 'normal'), send.send_at, send.expires_at, send.idempotency_key,
        send.max_retries, send.locale, send.category, send.provider, send.collapse_key, send.on_uncertain, send.options,
        send.metadata, send.traceparent, send.template_version, nullif(send.digest_key, ''))
    ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING notification_id INTO id;
    IF id IS NOT NULL THEN RETURN id; END IF;
    SELECT n.notification_id,
           (n.channel, n.recipient, n.subject, n.body, n.template_id, n.template_data, n.locale, n.options, n.provider, n.template_version)
           IS NOT DISTINCT FROM
           (send.channel, send.recipient, send.subject, send.body, send.template_id, send.template_data, send.locale, send.options, send.provider,
            send.template_version)
      INTO id, same
      FROM noti.notifications_log n WHERE n.tenant_id = send.tenant_id AND n.idempotency_key = send.idempotency_key;
    IF same THEN RETURN id; END IF;
    IF id IS NOT NULL THEN
      RAISE EXCEPTION 'noti: the idempotency key belongs to another message, notification %. Use a new key, or send the same content.', id
        USING ERRCODE = 'unique_violation', CONSTRAINT = 'notifications_log_idempotency';
    END IF;
    -- The other row was deleted in between: try again.
  END LOOP;
  RAISE EXCEPTION 'noti: the idempotency key is contended. Try again.' USING ERRCODE = 'serialization_failure';
END $$;
