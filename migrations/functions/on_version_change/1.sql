-- BEFORE UPDATE on noti.template_versions.
CREATE OR REPLACE FUNCTION noti.on_version_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'noti: a version of a template never changes. Publish a new one.' USING ERRCODE = 'check_violation';
END $$;
