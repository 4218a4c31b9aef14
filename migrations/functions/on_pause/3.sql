-- An audit line for whatever changes a pause, by function or by plain SQL, and a hint to the workers.
CREATE OR REPLACE FUNCTION noti.on_pause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p noti.pauses;
BEGIN
  IF TG_OP = 'DELETE' THEN p := OLD; ELSE p := NEW; END IF;
  -- One that had ended by itself is only tidied away.
  IF TG_OP <> 'DELETE' OR p.until IS NULL OR p.until > clock_timestamp() THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    VALUES (CASE WHEN p.scope = 'tenant' THEN p.name WHEN p.tenant_id <> '' THEN p.tenant_id ELSE 'default' END,
            'pause', concat_ws(':', p.scope, nullif(p.name, '')),
            CASE TG_OP WHEN 'DELETE' THEN 'resumed' ELSE 'paused' END, 'db', noti.actor(),
            jsonb_strip_nulls(jsonb_build_object(
              'by', CASE TG_OP WHEN 'DELETE' THEN nullif(current_setting('noti.person', true), '') ELSE p.paused_by END,
              'reason', p.reason, 'until', p.until)));
    IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
       AND pg_notification_queue_usage() < 0.5 THEN   -- a full queue would refuse the commit
      PERFORM pg_notify('noti_wake', '');
    END IF;
  END IF;
  RETURN NULL;
END $$;
