-- An audit line for each change of a category, by command or by plain SQL.
CREATE OR REPLACE FUNCTION noti.on_category() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c noti.categories;
BEGIN
  IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD THEN
    RETURN NULL;
  END IF;
  IF TG_OP = 'DELETE' THEN c := OLD; ELSE c := NEW; END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (CASE WHEN c.tenant_id <> '' THEN c.tenant_id ELSE 'default' END, 'category', c.category,
          CASE TG_OP WHEN 'DELETE' THEN 'category_removed' ELSE 'category_set' END, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object(
            'by', nullif(current_setting('noti.person', true), ''), 'everybody', CASE WHEN c.tenant_id = '' THEN true END,
            'mandatory', c.mandatory, 'can_be_left', c.can_be_left, 'opt_in', c.opt_in, 'channels', to_jsonb(c.channels),
            'expires_after', c.expires_after::text, 'title', c.title)));
  RETURN NULL;
END $$;
