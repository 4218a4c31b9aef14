-- An audit line for each choice, by function, by the page or by plain SQL: what a person wanted, since when, who wrote it down.
CREATE OR REPLACE FUNCTION noti.on_preference() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.allowed, NEW.frequency) IS NOT DISTINCT FROM (OLD.allowed, OLD.frequency) THEN
    RETURN NULL;
  END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (NEW.tenant_id, 'user', NEW.user_ref, 'preference_set', 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', nullif(NEW.updated_by, noti.actor()), 'category', nullif(NEW.category, ''), 'channel', nullif(NEW.channel, ''),
            'allowed', NEW.allowed, 'frequency', NEW.frequency)));
  RETURN NULL;
END $$;
