-- Remove a secret of an account; true when it was there. As a function, since whoever may delete from a table may also lock it and stop
-- the workers.
CREATE OR REPLACE FUNCTION noti.remove_secret(tenant text, account text, purpose text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM noti.check_tenant(remove_secret.tenant);
  DELETE FROM noti.secrets s
   WHERE s.tenant_id = remove_secret.tenant AND s.account = remove_secret.account AND s.purpose = remove_secret.purpose;
  RETURN FOUND;
END $$;
