-- Each change of an account gives it a new version, and workers build its sender anew.
CREATE OR REPLACE FUNCTION noti.on_odd_account() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND (NEW.tenant_id, NEW.name) IS DISTINCT FROM (OLD.tenant_id, OLD.name) THEN
    RAISE EXCEPTION 'noti: an account keeps its tenant and its name, for which its secrets are sealed. Add another one and remove this one.'
      USING ERRCODE = 'check_violation', CONSTRAINT = 'accounts_sane';
  END IF;
  NEW.version := nextval('noti.versions');
  RETURN NEW;
END $$;
