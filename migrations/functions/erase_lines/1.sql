-- One step over the tries (`log` 'notification_attempts_log') or the audit lines that name somebody: a provider's words
-- outlive the notification when retention is set so. From (after_at, after_id) on, in the order of the primary key.
CREATE OR REPLACE FUNCTION noti.erase_lines(who text, log text, after_at timestamptz, after_id bigint, step int, dry_run boolean)
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
