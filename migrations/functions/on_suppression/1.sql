-- An audit line for whatever is added to the suppression list, reported again or lifted, by function or by plain SQL. It does not
-- hold the address.
CREATE OR REPLACE FUNCTION noti.on_suppression() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  lifted constant boolean := NEW.lifted_at IS NOT NULL;
BEGIN
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (CASE WHEN NEW.tenant_id = '' THEN 'default' ELSE NEW.tenant_id END, 'suppression', NEW.suppression_id::text,
          CASE WHEN lifted THEN 'suppression_lifted' WHEN TG_OP = 'INSERT' THEN 'suppression_added' ELSE 'suppression_reported' END,
          'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'channel', NEW.channel, 'reason', NEW.reason, 'category', nullif(NEW.category, ''),
            'by', CASE WHEN lifted THEN NEW.lifted_by END, 'requested_by', NEW.requested_by,
            'source', CASE WHEN NOT lifted THEN NEW.source END,
            'notification_id', CASE WHEN NOT lifted THEN NEW.notification_id END,
            'hits', CASE WHEN NOT lifted THEN NEW.hits END,
            'until', CASE WHEN NOT lifted THEN NEW.expires_at END)));
  RETURN NULL;
END $$;
