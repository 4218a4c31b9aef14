-- An audit line for each change of a limit, by command or by plain SQL, and news of it to the workers.
CREATE OR REPLACE FUNCTION noti.on_limit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  l noti.limits;
BEGIN
  IF TG_OP = 'DELETE' THEN l := OLD; ELSE l := NEW; END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (CASE WHEN l.tenant_id <> '' THEN l.tenant_id ELSE 'default' END, 'limit', concat_ws(':', l.scope, l.name),
          CASE TG_OP WHEN 'DELETE' THEN 'limit_removed' ELSE 'limit_set' END, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', CASE TG_OP WHEN 'DELETE' THEN nullif(current_setting('noti.person', true), '') ELSE l.set_by END,
            'amount', l.amount, 'every', l.every::text, 'period', nullif(l.period, ''), 'burst', l.burst)));
  UPDATE noti.limits_revision SET revision = revision + 1;
  IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND pg_notification_queue_usage() < 0.5 THEN   -- a full queue would refuse the commit
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
