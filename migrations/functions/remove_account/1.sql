-- Remove an account of a tenant with its secrets and its places on routes; true when it was there. As a function, since whoever may delete
-- from a table may also lock it and stop the workers.
CREATE OR REPLACE FUNCTION noti.remove_account(tenant text, name text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM noti.check_tenant(remove_account.tenant);
  DELETE FROM noti.accounts a WHERE a.tenant_id = remove_account.tenant AND a.name = remove_account.name;
  RETURN FOUND;
END $$;
