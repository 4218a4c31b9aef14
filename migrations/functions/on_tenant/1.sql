-- An audit line for each change of a tenant, by command or by plain SQL, and news of it to the workers.
CREATE OR REPLACE FUNCTION noti.on_tenant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  t       noti.tenants;
  before  jsonb;
  changed jsonb;
  action_ text;
BEGIN
  IF TG_OP = 'DELETE' THEN t := OLD; ELSE t := NEW; END IF;
  before := CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE to_jsonb(OLD) END;
  SELECT jsonb_object_agg(n.key, n.value) INTO changed
    FROM jsonb_each(to_jsonb(t)) AS n
   WHERE n.key IN ('waiting_rows', 'waiting_bytes', 'highest_priority', 'channels', 'providers', 'senders', 'hosts')
     AND n.value IS DISTINCT FROM coalesce(before->n.key, 'null');
  action_ := CASE WHEN TG_OP = 'DELETE' THEN 'tenant_removed'
                  WHEN TG_OP = 'UPDATE' AND t.status <> OLD.status OR TG_OP = 'INSERT' AND t.status <> 'active' THEN
                    CASE t.status WHEN 'active' THEN 'tenant_resumed' WHEN 'suspended' THEN 'tenant_suspended' ELSE 'tenant_removal_begun' END
                  WHEN TG_OP = 'INSERT' THEN 'tenant_added' ELSE 'tenant_set' END;
  -- What is removed leaves no line of its own.
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (CASE WHEN TG_OP = 'DELETE' THEN 'default' ELSE t.tenant_id END, 'tenant', t.tenant_id, action_, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', CASE WHEN TG_OP = 'DELETE' THEN nullif(current_setting('noti.person', true), '')
                       WHEN action_ IN ('tenant_set', 'tenant_added') THEN t.set_by ELSE t.status_by END,
            'reason', t.reason)) || CASE WHEN changed IS NULL THEN '{}' ELSE jsonb_build_object('set', changed) END
          || CASE WHEN TG_OP = 'DELETE' AND left(current_setting('noti.removed', true), 1) = '{'
                  THEN jsonb_build_object('removed', current_setting('noti.removed', true)::jsonb) ELSE '{}' END);
  IF t.bounded OR TG_OP = 'UPDATE' AND OLD.bounded THEN
    UPDATE noti.limits_revision SET revision = revision + 1;
  END IF;
  IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND pg_notification_queue_usage() < 0.5 THEN   -- a full queue would refuse the commit
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
