-- An audit line for each setting that is set or taken away, by command or by plain SQL.
CREATE OR REPLACE FUNCTION noti.on_setting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  s noti.settings;
BEGIN
  IF TG_OP = 'DELETE' THEN s := OLD; ELSE s := NEW; END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (s.tenant_id, 'setting', s.key, CASE TG_OP WHEN 'DELETE' THEN 'setting_removed' ELSE 'setting_set' END, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', CASE TG_OP WHEN 'DELETE' THEN nullif(current_setting('noti.person', true), '') ELSE s.set_by END,
            'value', CASE WHEN TG_OP <> 'DELETE' THEN s.value END, 'before', CASE WHEN TG_OP <> 'INSERT' THEN OLD.value END)));
  RETURN NULL;
END $$;
