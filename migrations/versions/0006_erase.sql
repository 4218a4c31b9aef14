-- A person's content is taken out of everything that is kept, and the facts stay: ids, channel, status, times, counts.
--
-- Who calls these needs EXECUTE on them and no other right: they run with the rights of the owner, because history and
-- the audit log refuse such changes to everybody else. They work through the tables in steps along the primary key
-- (no index knows recipients: it would cost every insert, for a question that is asked a few times a year). A step is
-- one transaction, and what is erased no longer fits: calling again goes on.

-- The addresses that get a copy, or the answers, in small letters and without names.
CREATE FUNCTION noti.addresses(options jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT lower(btrim(coalesce(substring(one.value #>> '{}' FROM '<([^<>]+)>'), one.value #>> '{}')))
    FROM (SELECT jsonb_path_query(options, 'lax $.cc[*]') UNION ALL SELECT jsonb_path_query(options, 'lax $.bcc[*]')
          UNION ALL SELECT jsonb_path_query(options, 'lax $.reply_to[*]')) AS one (value)
$$;

-- What a notification has to do with somebody: 'recipient', 'copy', or NULL. E-mail does not tell A from a.
CREATE FUNCTION noti.concerns(channel text, recipient text, options jsonb, who text) RETURNS text
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN recipient = who OR channel = 'email' AND lower(recipient) = lower(who) THEN 'recipient'
              WHEN channel = 'email' AND jsonb_typeof(options) = 'object' AND options ?| '{cc,bcc,reply_to}'
                   AND lower(who) IN (SELECT noti.addresses(options)) THEN 'copy' END
$$;

-- The options without somebody's copies; what was no list of addresses stays as it is.
CREATE FUNCTION noti.without(options jsonb, who text) RETURNS jsonb LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT nullif(coalesce(jsonb_object_agg(o.key, CASE
             WHEN o.key IN ('cc', 'bcc') THEN (
               SELECT coalesce(jsonb_agg(e.value ORDER BY e.place), '[]')
                 FROM jsonb_path_query(o.value, 'lax $[*]') WITH ORDINALITY AS e (value, place)
                WHERE lower(who) NOT IN (SELECT noti.addresses(jsonb_build_object('cc', e.value))))
             ELSE o.value END), '{}'), '{}')
    FROM jsonb_each(options) AS o
   WHERE o.key <> 'reply_to' OR lower(who) NOT IN (SELECT noti.addresses(jsonb_build_object('cc', o.value)))
$$;

-- A text in which somebody is not named any more. ***= takes the rest as it stands; no backslash: applications may set
-- standard_conforming_strings = off.
CREATE FUNCTION noti.unnamed(words text, who text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN strpos(lower(words), lower(who)) > 0 AND length(who) >= 3
              THEN regexp_replace(words, '***=' || who, '[erased]', 'gi') ELSE words END
$$;

-- One step over the notifications: those after `after`, `step` at most; `tenant` NULL means all. Unfinished ones are
-- cancelled first; `in_flight` are those that a worker or somebody's lock holds: call again when they are free. Who
-- only got a copy is taken off the list, and the message goes on. `last` is NULL when there are no more.
CREATE FUNCTION noti.erase(who text, tenant text, after bigint, step int, dry_run boolean)
  RETURNS TABLE (last bigint, seen int, erased int, copies int, cancelled int, tries int, lines int, inbox int, attachments int, in_flight bigint[])
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off AS $$
#variable_conflict use_variable
DECLARE
  found bigint[];
  id    bigint;
  n     noti.notifications_log;
  files uuid[];
  mine  boolean;
  hits  int;
BEGIN
  IF coalesce(btrim(who), '') IN ('', '[erased]') THEN
    RAISE EXCEPTION 'noti: there is nobody to erase. Give the recipient.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT max(p.notification_id), count(*),
         array_agg(p.notification_id ORDER BY p.notification_id) FILTER (WHERE p.part IS NOT NULL),
         count(*) FILTER (WHERE p.part = 'recipient'), count(*) FILTER (WHERE p.part = 'copy'),
         count(*) FILTER (WHERE p.part = 'recipient' AND p.finished_at IS NULL AND p.claimed_by IS NULL),
         coalesce(array_agg(p.notification_id) FILTER (WHERE p.part IS NOT NULL AND p.claimed_by IS NOT NULL), '{}')
    INTO last, seen, found, erased, copies, cancelled, in_flight
    FROM (SELECT l.notification_id, l.finished_at, l.claimed_by,
                 -- A call costs ten times what the comparisons cost: only for those that it may be.
                 CASE WHEN (tenant IS NULL OR l.tenant_id = tenant)
                       AND (lower(l.recipient) = lower(who) OR l.options ?| '{cc,bcc,reply_to}')
                      THEN noti.concerns(l.channel, l.recipient, l.options, who) END AS part
            FROM (SELECT * FROM noti.notifications_log a WHERE a.notification_id > after ORDER BY a.notification_id LIMIT step) AS l) AS p;
  tries := 0; lines := 0; inbox := 0; attachments := 0;
  IF dry_run THEN
    RETURN NEXT;
    RETURN;
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
             entity_id = noti.unnamed(l.entity_id, who), collapse_key = noti.unnamed(l.collapse_key, who),
             idempotency_key = CASE WHEN strpos(lower(l.idempotency_key), lower(who)) > 0 THEN NULL ELSE l.idempotency_key END
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
      DELETE FROM noti.attachments f WHERE f.attachment_id = ANY (files) AND NOT noti.attachment_named(f.attachment_id);
      GET DIAGNOSTICS hits = ROW_COUNT;
      attachments := attachments + hits;
    ELSE
      UPDATE noti.notifications_log l
         SET options = noti.without(l.options, who), error_message = noti.unnamed(l.error_message, who)
       WHERE l.notification_id = id;
      copies := copies + 1;
    END IF;
    -- What a provider said about a message may name anybody in it.
    UPDATE noti.notification_attempts_log t
       SET error_message = CASE WHEN mine AND t.error_message IS NOT NULL THEN '[erased]' ELSE noti.unnamed(t.error_message, who) END,
           response_data = NULL
     WHERE t.notification_id = id AND (t.error_message IS NOT NULL OR t.response_data IS NOT NULL);
    GET DIAGNOSTICS hits = ROW_COUNT;
    tries := tries + hits;
    UPDATE noti.audit_log a
       SET metadata = noti.unnamed((a.metadata || CASE WHEN mine AND a.action_by_type = 'worker' AND a.metadata ? 'reason'
                                                       THEN '{"reason": "[erased]"}' ELSE '{}' END::jsonb)::text, who)::jsonb
     WHERE a.entity_id = id::text AND a.entity_type = 'notification'
       AND (mine AND a.action_by_type = 'worker' AND a.metadata ? 'reason' OR strpos(lower(a.metadata::text), lower(who)) > 0);
    GET DIAGNOSTICS hits = ROW_COUNT;
    lines := lines + hits;
  END LOOP;
  PERFORM set_config('noti.erasing', '', true);
  RETURN NEXT;
END $$;

-- One step over the in-app messages: a message outlives its notification when retention is set so.
CREATE FUNCTION noti.erase_inbox(who text, tenant text, after bigint, step int, dry_run boolean)
  RETURNS TABLE (last bigint, seen int, inbox int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off AS $$
#variable_conflict use_variable
DECLARE
  found bigint[];
BEGIN
  SELECT max(p.inbox_id), count(*),
         coalesce(array_agg(p.inbox_id) FILTER (WHERE p.recipient = who AND (tenant IS NULL OR p.tenant_id = tenant)), '{}')
    INTO last, seen, found
    FROM (SELECT i.inbox_id, i.recipient, i.tenant_id FROM noti.inbox i WHERE i.inbox_id > after ORDER BY i.inbox_id LIMIT step) AS p;
  inbox := cardinality(found);
  IF inbox > 0 AND NOT dry_run THEN
    UPDATE noti.inbox i SET recipient = '[erased]', subject = NULL, body = NULL, html = NULL WHERE i.inbox_id = ANY (found);
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by)
    SELECT i.tenant_id, 'inbox', i.inbox_id::text, 'inbox_erased', 'db', noti.actor() FROM noti.inbox i WHERE i.inbox_id = ANY (found);
  END IF;
  RETURN NEXT;
END $$;

-- One step over the tries (`log` 'notification_attempts_log') or the audit lines that name somebody: a provider's words
-- outlive the notification when retention is set so. From (after_at, after_id) on, in the order of the primary key.
CREATE FUNCTION noti.erase_lines(who text, log text, after_at timestamptz, after_id bigint, step int, dry_run boolean)
  RETURNS TABLE (last_at timestamptz, last_id bigint, seen int, lines int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off AS $$
#variable_conflict use_variable
DECLARE
  ats timestamptz[];
  ids bigint[];
BEGIN
  IF length(who) < 3 THEN
    RAISE EXCEPTION 'noti: the recipient is too short to be looked for in texts. Give at least three characters.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  PERFORM set_config('noti.erasing', 'on', true);
  IF log = 'audit_log' THEN
    SELECT (array_agg(p.created_at ORDER BY p.created_at DESC, p.audit_id DESC))[1], (array_agg(p.audit_id ORDER BY p.created_at DESC, p.audit_id DESC))[1], count(*),
           array_agg(p.created_at) FILTER (WHERE p.named), array_agg(p.audit_id) FILTER (WHERE p.named)
      INTO last_at, last_id, seen, ats, ids
      FROM (SELECT a.created_at, a.audit_id, strpos(lower(a.metadata::text), lower(who)) > 0 AS named
              FROM noti.audit_log a WHERE a.created_at >= after_at AND (a.created_at, a.audit_id) > (after_at, after_id)
             ORDER BY a.created_at, a.audit_id LIMIT step) AS p;
    IF NOT dry_run THEN
      UPDATE noti.audit_log a SET metadata = noti.unnamed(a.metadata::text, who)::jsonb
        FROM unnest(ats, ids) AS w (at, id) WHERE a.created_at = w.at AND a.audit_id = w.id;
    END IF;
  ELSE
    SELECT (array_agg(p.created_at ORDER BY p.created_at DESC, p.log_id DESC))[1], (array_agg(p.log_id ORDER BY p.created_at DESC, p.log_id DESC))[1], count(*),
           array_agg(p.created_at) FILTER (WHERE p.named), array_agg(p.log_id) FILTER (WHERE p.named)
      INTO last_at, last_id, seen, ats, ids
      FROM (SELECT t.created_at, t.log_id, strpos(lower(concat_ws(' ', t.error_message, t.response_data::text)), lower(who)) > 0 AS named
              FROM noti.notification_attempts_log t
             WHERE t.created_at >= after_at AND (t.created_at, t.log_id) > (after_at, after_id)
             ORDER BY t.created_at, t.log_id LIMIT step) AS p;
    IF NOT dry_run THEN
      UPDATE noti.notification_attempts_log t SET error_message = noti.unnamed(t.error_message, who), response_data = NULL
        FROM unnest(ats, ids) AS w (at, id) WHERE t.created_at = w.at AND t.log_id = w.id;
    END IF;
  END IF;
  PERFORM set_config('noti.erasing', '', true);
  lines := coalesce(cardinality(ids), 0);
  RETURN NEXT;
END $$;
REVOKE EXECUTE ON FUNCTION noti.erase(text, text, bigint, int, boolean), noti.erase_inbox(text, text, bigint, int, boolean),
  noti.erase_lines(text, text, timestamptz, bigint, int, boolean) FROM PUBLIC;
