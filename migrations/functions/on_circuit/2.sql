-- An audit line for each change of a circuit's state, by function or by plain SQL, and a hint to the workers.
CREATE OR REPLACE FUNCTION noti.on_circuit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c   noti.circuits;
  now_open boolean := TG_OP <> 'DELETE';
BEGIN
  IF TG_OP = 'DELETE' THEN c := OLD; ELSE c := NEW; END IF;
  now_open := now_open AND c.state = 'open';
  IF now_open = (TG_OP <> 'INSERT' AND OLD.state = 'open') THEN
    RETURN NULL;
  END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (CASE WHEN c.tenant_id <> '' THEN c.tenant_id ELSE 'default' END, 'circuit', concat_ws(':', c.scope, c.name),
          CASE WHEN now_open THEN 'circuit_opened' ELSE 'circuit_closed' END, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', CASE WHEN now_open THEN c.opened_by ELSE c.closed_by END,
            'reason', CASE WHEN now_open THEN c.reason END,
            'retry_at', CASE WHEN now_open THEN c.retry_at END,
            'open_s', CASE WHEN NOT now_open THEN round(extract(epoch FROM clock_timestamp() - c.opened_at), 3) END)));
  IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND pg_notification_queue_usage() < 0.5 THEN   -- a full queue would refuse the commit
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
