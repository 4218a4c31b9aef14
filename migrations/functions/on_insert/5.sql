-- AFTER INSERT, per statement: one audit line per row, whoever inserted it, and at most one wake-up. No EXCEPTION block: it would
-- be a subtransaction per statement. Four commits at a time may carry a wake-up, because NOTIFY makes commits queue; and none
-- while the server's queue of notifications is half full, since a full one refuses commits. Workers look by themselves, too.
-- What a tenant inserts beyond its bounds, or a quota that refuses it, is refused; a copy belongs to a message that went out.
CREATE OR REPLACE FUNCTION noti.on_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who constant text := noti.actor();
BEGIN
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  SELECT i.tenant_id, 'notification', i.notification_id::text, 'notification_triggered', 'db', who,
         jsonb_object(ARRAY['status', i.status, 'channel', i.channel, 'priority', i.priority]
           || CASE WHEN i.entity_id IS NOT NULL THEN ARRAY['entity_type', i.entity_type, 'entity_id', i.entity_id] END
           || CASE WHEN i.template_id IS NOT NULL THEN ARRAY['template_id', i.template_id] END
           || CASE WHEN i.send_at IS NOT NULL THEN ARRAY['send_at', to_json(i.send_at) #>> '{}'] END
           || CASE WHEN i.expires_at IS NOT NULL THEN ARRAY['expires_at', to_json(i.expires_at) #>> '{}'] END)
  FROM inserted i
  WHERE (NOT EXISTS (SELECT FROM noti.full_quotas) OR i.finished_at IS NOT NULL OR i.copy_of IS NOT NULL
         OR noti.within_quota(i.tenant_id, i.channel))
    AND (NOT EXISTS (SELECT FROM noti.tenants t WHERE t.bounded) OR i.finished_at IS NOT NULL OR i.copy_of IS NOT NULL
         OR noti.within_tenant(i.tenant_id, i.channel, i.priority, i.recipient, i.provider, i.options));
  IF FOUND AND lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND EXISTS (SELECT 1 FROM inserted i WHERE i.finished_at IS NULL AND i.held_at IS NULL
                  AND i.due_at <= clock_timestamp() + interval '10 seconds')
     AND pg_try_advisory_xact_lock(7700140 + pg_backend_pid() % 4)
     AND pg_notification_queue_usage() < 0.5 THEN
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
