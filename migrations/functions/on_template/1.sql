-- AFTER INSERT, UPDATE or DELETE on noti.templates: who writes it as ever makes versions.
CREATE OR REPLACE FUNCTION noti.on_template() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM noti.keep_version(OLD.tenant_id, OLD.template_id, NULL, NULL, NULL);
    RETURN NULL;
  END IF;
  IF TG_OP = 'UPDATE' AND (OLD.tenant_id, OLD.template_id) IS DISTINCT FROM (NEW.tenant_id, NEW.template_id) THEN
    PERFORM noti.keep_version(OLD.tenant_id, OLD.template_id, NULL, NULL, NULL);
  END IF;
  PERFORM noti.keep_version(NEW.tenant_id, NEW.template_id, NEW.subject, NEW.body, NEW.html);
  RETURN NULL;
END $$;
