-- Take a setting of a tenant away; true when it was there. As a function, since whoever may delete from a table may also lock it and
-- stop the workers.
CREATE OR REPLACE FUNCTION noti.unset(tenant text, key text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM noti.check_tenant(NULL);   -- a tenant does not set its own
  DELETE FROM noti.settings s WHERE s.tenant_id = unset.tenant AND s.key = unset.key;
  RETURN FOUND;
END $$;
