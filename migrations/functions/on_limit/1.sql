-- An audit line for each change of a limit, by command or by plain SQL, and news of it to the workers. A rate begins anew, empty and not
-- slowed; a quota that was used up is asked again; one that is taken away is forgotten.
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
            'amount', l.amount, 'every', l.every::text, 'burst', l.burst, 'period', nullif(l.period, ''),
            'zone', CASE WHEN l.period <> '' THEN l.zone END, 'when_spent', CASE WHEN l.period <> '' THEN l.when_spent END,
            'double_every', l.double_every::text)));
  DELETE FROM noti.buckets b WHERE l.period = '' AND b.scope = l.scope AND b.tenant_id = l.tenant_id AND b.name = l.name;
  DELETE FROM noti.spent s WHERE s.scope = l.scope AND s.tenant_id = l.tenant_id AND s.name = l.name AND s.period = l.period;
  DELETE FROM noti.full_quotas f WHERE l.scope = 'tenant channel' AND f.tenant_id = l.tenant_id AND f.channel = l.name AND f.period = l.period;
  IF TG_OP = 'DELETE' THEN
    DELETE FROM noti.usage u WHERE u.scope = l.scope AND u.tenant_id = l.tenant_id AND u.name = l.name AND u.period = l.period;
  END IF;
  UPDATE noti.limits_revision SET revision = revision + 1;
  IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND pg_notification_queue_usage() < 0.5 THEN   -- a full queue would refuse the commit
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
