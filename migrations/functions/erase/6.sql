-- One step over the notifications: those after `after`, `step` at most; `tenant` NULL means all. Unfinished ones are
-- cancelled first; `in_flight` are those that a worker or somebody's lock holds: call again when they are free. Who
-- only got a copy is taken off the list, and the message goes on. `last` is NULL when there are no more. A dry run counts
-- what belongs to notifications that name them as a whole, and looks into no text for it: it must not tell what a text says.
-- A role that is bound to tenants names one, and learns of no row of another: a step of it goes over ids instead of rows.
-- Not compiled: plans without the other ways look dear enough for it, and compiling takes longer than a step.
CREATE OR REPLACE FUNCTION noti.erase(who text, tenant text, after bigint, step int, dry_run boolean)
  RETURNS TABLE (last bigint, seen int, erased int, copies int, cancelled int, tries int, lines int, inbox int, attachments int, in_flight bigint[])
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
  -- what the audit log says in our own words
  ours  constant text[] := '{status,from,to,changed,kind,channel,priority,account,requested,template_id,traceparent}';
  clue  constant text := noti.clue(who);
  found bigint[];
  id    bigint;
  n     noti.notifications_log;
  files uuid[];
  mine  boolean;
  hits  int;
  begins constant boolean := after <= 0;
  bound constant boolean := NOT noti.sees_tenant(NULL);
BEGIN
  PERFORM noti.check_tenant(tenant);
  IF coalesce(btrim(who), '') IN ('', '[erased]') THEN
    RAISE EXCEPTION 'noti: there is nobody to erase. Give the recipient.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF bound THEN
    after := greatest(after, (SELECT min(a.notification_id) FROM noti.notifications_log a) - 1);
  END IF;
  SELECT CASE WHEN bound THEN (SELECT after + step WHERE after < (SELECT max(a.notification_id) FROM noti.notifications_log a))
              ELSE max(p.notification_id) END, count(*),
         array_agg(p.notification_id ORDER BY p.notification_id) FILTER (WHERE p.part IS NOT NULL),
         count(*) FILTER (WHERE p.part = 'recipient'), count(*) FILTER (WHERE p.part = 'copy'),
         count(*) FILTER (WHERE p.part = 'recipient' AND p.finished_at IS NULL AND p.claimed_by IS NULL),
         coalesce(array_agg(p.notification_id) FILTER (WHERE p.part IS NOT NULL AND p.claimed_by IS NOT NULL), '{}')
    INTO last, seen, found, erased, copies, cancelled, in_flight
    FROM (SELECT l.notification_id, l.finished_at, l.claimed_by,
                 -- A call costs ten times what the comparisons cost: only for those that it may be.
                 CASE WHEN (tenant IS NULL OR l.tenant_id = tenant)
                       AND (strpos(lower(l.recipient COLLATE "C"), clue) > 0 OR octet_length(l.recipient) <> char_length(l.recipient)
                            OR l.options ?| '{cc,bcc,reply_to,copy_of}')
                      THEN noti.concerns(l.channel, l.recipient, l.options, who) END AS part
            FROM (SELECT * FROM noti.notifications_log a
                   WHERE a.notification_id > after AND (NOT bound OR a.notification_id <= after + step AND a.tenant_id = tenant)
                   ORDER BY a.notification_id LIMIT step) AS l) AS p;
  tries := 0; lines := 0; inbox := 0; attachments := 0;
  IF dry_run THEN
    RETURN NEXT;
    RETURN;
  END IF;

  IF begins THEN  -- who looked for somebody is known, also when there was nothing to find
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
    VALUES (coalesce(tenant, 'default'), 'erasure', gen_random_uuid()::text, 'erasure_begun', 'db', noti.actor());
    -- an account in trouble says why in the words of whoever refused a message
    UPDATE noti.circuits c SET reason = noti.unnamed(c.reason, who, false, '[erased]')
     WHERE c.reason <> noti.unnamed(c.reason, who, false, '[erased]') AND (NOT bound OR c.tenant_id = tenant);
    -- and whoever pauses may say because of whom
    UPDATE noti.pauses p SET reason = noti.unnamed(p.reason, who, false, '[erased]')
     WHERE p.reason <> noti.unnamed(p.reason, who, false, '[erased]')
       AND (NOT bound OR p.tenant_id = tenant OR p.scope = 'tenant' AND p.name = tenant);
    -- and nobody is told any more that an endpoint fails
    UPDATE noti.endpoints e SET owner = NULL, owner_channel = NULL
     WHERE (tenant IS NULL OR e.tenant_id = tenant) AND noti.concerns(e.owner_channel, e.owner, NULL, who) IS NOT NULL;
  END IF;
  erased := 0; copies := 0; cancelled := 0; in_flight := '{}';
  PERFORM set_config('noti.erasing', 'on', true);
  FOREACH id IN ARRAY coalesce(found, '{}') LOOP
    SELECT * INTO n FROM noti.notifications_log l WHERE l.notification_id = id FOR NO KEY UPDATE SKIP LOCKED;
    mine := noti.concerns(n.channel, n.recipient, n.options, who) = 'recipient';
    IF n.notification_id IS NULL OR n.claimed_by IS NOT NULL THEN
      IF mine AND n.requested IS DISTINCT FROM 'cancelled' THEN
        UPDATE noti.notifications_log l SET status = 'cancelled' WHERE l.notification_id = id;
      END IF;
      in_flight := in_flight || id;
      CONTINUE;
    END IF;
    CONTINUE WHEN mine IS NULL;
    IF mine THEN
      IF n.finished_at IS NULL THEN
        UPDATE noti.notifications_log l SET status = 'cancelled' WHERE l.notification_id = id;
        cancelled := cancelled + 1;
      END IF;
      UPDATE noti.notifications_log l
         SET recipient = '[erased]', subject = NULL, body = CASE WHEN l.template_id IS NULL THEN '[erased]' END,
             template_data = NULL, options = NULL, metadata = NULL,
             error_message = CASE WHEN l.error_message IS NOT NULL THEN '[erased]' END,
             entity_id = noti.unnamed(l.entity_id, who, true, '[erased]'),
             collapse_key = noti.unnamed(l.collapse_key, who, true, '[erased]'),
             digest_key = noti.unnamed(l.digest_key, who, true, '[erased]'),
             idempotency_key = CASE WHEN noti.unnamed(l.idempotency_key, who, true, '[erased]') = l.idempotency_key THEN l.idempotency_key END
       WHERE l.notification_id = id;
      erased := erased + 1;
      UPDATE noti.inbox i SET recipient = '[erased]', subject = NULL, body = NULL, html = NULL
       WHERE i.notification_id = id AND i.recipient <> '[erased]';
      GET DIAGNOSTICS hits = ROW_COUNT;
      inbox := inbox + hits;
      SELECT array_agg(a.value::uuid) INTO files
        FROM (SELECT regexp_replace(lower(f.value #>> '{}'), '^urn:uuid:|[{}-]', '', 'g')
                FROM jsonb_path_query(n.options, 'lax $.attachments[*]') AS f (value)) AS a (value)
       WHERE a.value ~ '^[0-9a-f]{32}$';
      DELETE FROM noti.attachments f WHERE f.attachment_id = ANY (files) AND f.tenant_id = n.tenant_id AND NOT noti.attachment_named(f.attachment_id);
      GET DIAGNOSTICS hits = ROW_COUNT;
      attachments := attachments + hits;
    ELSE
      UPDATE noti.notifications_log l
         SET options = noti.without(l.options, who), error_message = noti.unnamed(l.error_message, who, false, '[erased]')
       WHERE l.notification_id = id;
      copies := copies + 1;
    END IF;
    -- What a provider said about a message may name anybody in it.
    UPDATE noti.notification_attempts_log t
       SET error_message = w.error_message, response_data = w.response_data
      FROM (SELECT l.created_at, l.log_id,
                   CASE WHEN NOT mine THEN noti.unnamed(l.error_message, who, false, '[erased]')
                        WHEN l.error_message IS NOT NULL THEN '[erased]' END AS error_message,
                   CASE WHEN NOT mine THEN noti.unnamed_json(l.response_data, who, false, true) END AS response_data
              FROM noti.notification_attempts_log l WHERE l.notification_id = id) AS w
     WHERE t.created_at = w.created_at AND t.log_id = w.log_id
       AND (t.error_message, t.response_data) IS DISTINCT FROM (w.error_message, w.response_data);
    GET DIAGNOSTICS hits = ROW_COUNT;
    tries := tries + hits;
    UPDATE noti.audit_log a SET metadata = w.metadata
      FROM (SELECT l.created_at, l.audit_id,
                   l.metadata || noti.unnamed_json(l.metadata - ours, who, mine, false)
                   || CASE WHEN mine AND l.action_by_type = 'worker' AND l.metadata ? 'reason' THEN '{"reason": "[erased]"}' ELSE '{}' END::jsonb AS metadata
              FROM noti.audit_log l WHERE l.entity_id = id::text AND l.entity_type = 'notification' AND jsonb_typeof(l.metadata) = 'object') AS w
     WHERE a.created_at = w.created_at AND a.audit_id = w.audit_id AND a.metadata IS DISTINCT FROM w.metadata;
    GET DIAGNOSTICS hits = ROW_COUNT;
    lines := lines + hits;
  END LOOP;
  PERFORM set_config('noti.erasing', '', true);
  RETURN NEXT;
END $$;
