-- A mail was taken, but refused for now for these copies: each becomes a notification of its own, with this as its first try,
-- and is sent again as the same message to its address alone. What it is sent, and to whom, comes from the mail: `follows`
-- names the place of the address in its options and tells how the try ended. The account that took the mail sends its copies,
-- too: by another the sender, and with it the Message-ID, may be another. Called as the mail is recorded, by nobody else.
-- Further addresses of the person whom a row names, devices mostly, stand there, too: each gets a message of its own, once.
CREATE OR REPLACE FUNCTION noti.defer_copies(mail bigint, worker_id bigint, wish text, follows json) RETURNS void
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  becomes constant text := coalesce(wish, 'retrying');  -- who cancelled or held the mail meanwhile meant its copies, too
  copy record;
  id   bigint;
BEGIN
  FOR copy IN
    SELECT c.*
      FROM json_to_recordset(follows) AS c (
           "into" text, name text, reason text, charge boolean, wait_ms bigint, error text, provider text, account text,
           kind text, code text, response jsonb, age_ms bigint, duration_ms bigint, traceparent text, stage text, scope text, rule text, template text)
     WHERE c."into" = 'copy' AND c.name ~ '^b?cc[[][0-9]{1,2}[]]$'
  LOOP
    INSERT INTO noti.notifications_log
           (copy_of, recipient, options, status, finished_at, held_at, next_retry_at, claim_count, attempt_count, retry_count,
            error_message, message_id, created_at, send_at, expires_at, tenant_id, entity_type, entity_id, channel, subject, body,
            template_id, template_data, locale, priority, max_retries, retries_said, category, provider, on_uncertain,
            metadata, traceparent, template_version)
    SELECT n.notification_id, jsonb_path_query_first(n.options, ('lax $.' || copy.name)::jsonpath) #>> '{}',
           (n.options - 'bcc') || jsonb_build_object('copy_of', n.recipient),
           becomes, CASE WHEN becomes = 'cancelled' THEN now() END, CASE WHEN becomes = 'held' THEN now() END,
           now() + copy.wait_ms * interval '1 millisecond', 1, 1, coalesce(copy.charge, false)::int,
           copy.error, n.message_id, n.created_at, n.send_at, n.expires_at, n.tenant_id, n.entity_type, n.entity_id, n.channel, n.subject, n.body,
           n.template_id, n.template_data, n.locale, n.priority, n.max_retries, n.retries_said, n.category, coalesce(copy.account, n.provider), n.on_uncertain,
           n.metadata, n.traceparent, n.template_version
      FROM noti.notifications_log n
     WHERE n.notification_id = mail
    RETURNING notification_id INTO id;
    INSERT INTO noti.notification_attempts_log
           (notification_id, attempt_number, status, provider, account, kind, code, error_message, response_data, started_at,
            duration_ms, worker, claim_count, stage, scope, rule, tenant_id, template)
    VALUES (id, 1, 'retrying', copy.provider, copy.account, copy.kind, copy.code, copy.error, copy.response,
            now() - copy.age_ms * interval '1 millisecond', copy.duration_ms,
            coalesce((SELECT w.host || ':' || w.pid::text || '#' FROM noti.workers w WHERE w.worker_id = defer_copies.worker_id), '')
              || worker_id::text,
            1, copy.stage, copy.scope, copy.rule, (SELECT n.tenant_id FROM noti.notifications_log n WHERE n.notification_id = mail), copy.template);
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    SELECT n.tenant_id, 'notification', id::text, 'notification_' || becomes, 'worker', 'worker ' || worker_id::text,
           jsonb_strip_nulls(jsonb_build_object(
               'reason', copy.reason, 'kind', copy.kind, 'account', copy.account, 'attempt', 1,
               'wait_s', CASE WHEN becomes = 'retrying' THEN round(copy.wait_ms / 1000.0, 3) END,
               'traceparent', copy.traceparent, 'requested', wish))
      FROM noti.notifications_log n WHERE n.notification_id = mail;
  END LOOP;

  -- The row is locked: nobody else copies it now. The trigger of the inserts is told who does.
  PERFORM set_config('noti.copying', 'on', true);
  INSERT INTO noti.notifications_log
         (copy_of, recipient, options, status, held_at, created_at, send_at, expires_at, tenant_id, entity_type, entity_id, channel, subject, body,
          template_id, template_data, locale, priority, max_retries, retries_said, category, provider, collapse_key, on_uncertain,
          metadata, traceparent, template_version)
  SELECT n.notification_id, further.address, n.options - '{cc,bcc}'::text[],
         CASE WHEN wish = 'held' THEN 'held' ELSE 'pending' END, CASE WHEN wish = 'held' THEN now() END,
         n.created_at, n.send_at, n.expires_at, n.tenant_id, n.entity_type, n.entity_id, n.channel, n.subject, n.body,
         n.template_id, n.template_data, coalesce(n.locale, further.locale), n.priority, n.max_retries, n.retries_said, n.category, n.provider,
         n.collapse_key, n.on_uncertain, n.metadata, n.traceparent, n.template_version
    FROM json_to_recordset(follows) AS further ("into" text, address text, locale text)
   CROSS JOIN LATERAL (SELECT l.* FROM noti.notifications_log l WHERE l.notification_id = mail LIMIT 1) AS n
   WHERE further."into" = 'address' AND n.copy_of IS NULL AND wish IS DISTINCT FROM 'cancelled'
     AND NOT EXISTS (SELECT FROM noti.notifications_log c WHERE c.copy_of = mail AND c.recipient = further.address);
  PERFORM set_config('noti.copying', '', true);
END $$;
