-- The story of a notification needs none of its content, so that who may not read content can tell it, too.

-- One row as next_step and paused take it, without its content.
CREATE FUNCTION noti.facts(id bigint) RETURNS noti.notifications_log LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_populate_record(NULL::noti.notifications_log, to_jsonb(f))
    FROM (SELECT n.notification_id, n.tenant_id, n.channel, n.priority, n.status, n.requested, n.template_id, n.provider, n.claimed_by,
                 n.lease_until, n.due_at, n.expires_at, n.sent_at, n.finished_at, n.held_at, n.attempt_count, n.retry_count, n.max_retries
            FROM noti.notifications_log n WHERE n.notification_id = facts.id) AS f
$$;

-- These functions are changed in a few places only, whatever other migrations made of the rest.
DO $$
DECLARE
  one record;
  old text;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      ('noti.why(bigint)', 'SELECT t.*, ''worker ''',
       'SELECT t.log_id, t.created_at, t.attempt_number, t.status, t.account, t.provider, t.kind, t.code, t.error_message, t.duration_ms,' || E'\n           ''worker '''),
      ('noti.why(bigint)', 'noti.next_step(n)', 'noti.next_step(noti.facts(n.notification_id))'),
      ('noti.on_update()', '  IF changed && content AND OLD.finished_at IS NOT NULL AND NOT requeue THEN',
       $erasing$  -- A person's content goes, the facts stay: noti.erase alone comes by here.
  IF changed && content AND current_setting('noti.erasing', true) = 'on' AND OLD.claimed_by IS NULL
     AND (NEW.recipient = '[erased]' OR changed = '{options}') THEN
    act := 'erased';
    changed := '{}';
  END IF;
  IF changed && content AND OLD.finished_at IS NOT NULL AND NOT requeue THEN$erasing$),
      ('noti.on_audit_change()', E'BEGIN\n',
       $erasing$BEGIN
  -- noti.erase takes a person's words out of a line, and nothing else.
  IF TG_OP = 'UPDATE' THEN
    IF current_setting('noti.erasing', true) = 'on'
       AND (NEW.audit_id, NEW.tenant_id, NEW.entity_type, NEW.entity_id, NEW.action, NEW.action_by_type, NEW.action_by, NEW.created_at)
           IS NOT DISTINCT FROM
           (OLD.audit_id, OLD.tenant_id, OLD.entity_type, OLD.entity_id, OLD.action, OLD.action_by_type, OLD.action_by, OLD.created_at) THEN
      RETURN NEW;
    END IF;
  END IF;
$erasing$)) AS v (function, old, new)
  LOOP
    old := pg_get_functiondef(one.function::regprocedure);
    IF array_length(string_to_array(old, one.old), 1) <> 2 THEN
      RAISE EXCEPTION '% is not what this migration expects', one.function;
    END IF;
    EXECUTE replace(old, one.old, one.new);
  END LOOP;
END $$;
