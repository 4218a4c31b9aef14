-- AFTER INSERT on noti.template_versions of what is for every channel and has no language: noti.templates, which workers of the version
-- before read, holds the newest.
CREATE OR REPLACE FUNCTION noti.on_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NEW.body IS NULL AND NEW.html IS NULL THEN
    DELETE FROM noti.templates t WHERE t.tenant_id = NEW.tenant_id AND t.template_id = NEW.template_id;
  ELSE
    INSERT INTO noti.templates AS t (tenant_id, template_id, subject, body, html)
    VALUES (NEW.tenant_id, NEW.template_id, NEW.subject, NEW.body, NEW.html)
    ON CONFLICT ON CONSTRAINT templates_pkey DO UPDATE
       SET subject = EXCLUDED.subject, body = EXCLUDED.body, html = EXCLUDED.html, updated_at = clock_timestamp()
     WHERE (t.subject, t.body, t.html) IS DISTINCT FROM (EXCLUDED.subject, EXCLUDED.body, EXCLUDED.html);
  END IF;
  RETURN NULL;
END $$;
