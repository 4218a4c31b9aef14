-- One step over the tries (`log` 'notification_attempts_log') or the audit lines that name somebody: a provider's words
-- outlive the notification when retention is set so. From (after_at, after_id) on, in the order of the primary key. A step
-- that changes something leaves a line itself. A dry run looks at nothing: it would tell what stands in texts.
CREATE OR REPLACE FUNCTION noti.erase_lines(who text, log text, after_at timestamptz, after_id bigint, step int, dry_run boolean)
  RETURNS TABLE (last_at timestamptz, last_id bigint, seen int, lines int)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_variable
DECLARE
  ours constant text[] := '{status,from,to,changed,kind,channel,priority,account,requested,template_id,traceparent}';
  clue constant text := noti.clue(who);
  ats  timestamptz[];
  ids  bigint[];
BEGIN
  PERFORM noti.check_tenant(NULL);   -- its lines may be anybody's
  IF coalesce(length(who), 0) < 3 THEN
    RAISE EXCEPTION 'noti: the recipient is too short to be looked for in texts. Give at least three characters.' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  seen := 0;
  lines := 0;
  IF dry_run THEN
    RETURN NEXT;
    RETURN;
  END IF;
  PERFORM set_config('noti.erasing', 'on', true);
  IF log = 'audit_log' THEN
    SELECT (array_agg(p.created_at ORDER BY p.created_at DESC, p.audit_id DESC))[1], (array_agg(p.audit_id ORDER BY p.created_at DESC, p.audit_id DESC))[1], count(*),
           array_agg(p.created_at) FILTER (WHERE p.hint), array_agg(p.audit_id) FILTER (WHERE p.hint)
      INTO last_at, last_id, seen, ats, ids
      FROM (SELECT a.created_at, a.audit_id, strpos(lower(a.metadata::text COLLATE "C"), clue) > 0 AND jsonb_typeof(a.metadata) = 'object' AS hint
              FROM noti.audit_log a WHERE a.created_at >= after_at AND (a.created_at, a.audit_id) > (after_at, after_id)
             ORDER BY a.created_at, a.audit_id LIMIT step) AS p;
    UPDATE noti.audit_log a SET metadata = w.metadata
      FROM (SELECT l.created_at, l.audit_id, l.metadata || noti.unnamed_json(l.metadata - ours, who, false, false) AS metadata
              FROM unnest(ats, ids) AS hint (at, id)
              JOIN noti.audit_log l ON l.created_at = hint.at AND l.audit_id = hint.id) AS w
     WHERE a.created_at = w.created_at AND a.audit_id = w.audit_id AND a.metadata IS DISTINCT FROM w.metadata;
  ELSE
    SELECT (array_agg(p.created_at ORDER BY p.created_at DESC, p.log_id DESC))[1], (array_agg(p.log_id ORDER BY p.created_at DESC, p.log_id DESC))[1], count(*),
           array_agg(p.created_at) FILTER (WHERE p.hint), array_agg(p.log_id) FILTER (WHERE p.hint)
      INTO last_at, last_id, seen, ats, ids
      FROM (SELECT t.created_at, t.log_id, strpos(lower(concat_ws(' ', t.error_message, t.response_data::text) COLLATE "C"), clue) > 0 AS hint
              FROM noti.notification_attempts_log t
             WHERE t.created_at >= after_at AND (t.created_at, t.log_id) > (after_at, after_id)
             ORDER BY t.created_at, t.log_id LIMIT step) AS p;
    UPDATE noti.notification_attempts_log t SET error_message = w.error_message, response_data = w.response_data
      FROM (SELECT l.created_at, l.log_id, noti.unnamed(l.error_message, who, false, '[erased]') AS error_message,
                   noti.unnamed_json(l.response_data, who, false, true) AS response_data
              FROM unnest(ats, ids) AS hint (at, id)
              JOIN noti.notification_attempts_log l ON l.created_at = hint.at AND l.log_id = hint.id) AS w
     WHERE t.created_at = w.created_at AND t.log_id = w.log_id
       AND (t.error_message, t.response_data) IS DISTINCT FROM (w.error_message, w.response_data);
  END IF;
  GET DIAGNOSTICS lines = ROW_COUNT;
  PERFORM set_config('noti.erasing', '', true);
  IF lines > 0 THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    VALUES ('default', 'log', log, 'lines_erased', 'db', noti.actor(), jsonb_build_object('lines', lines));
  END IF;
  RETURN NEXT;
END $$;
