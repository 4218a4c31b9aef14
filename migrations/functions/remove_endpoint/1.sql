-- Remove an endpoint; true when it was there. As a function, since whoever may delete from a table may also lock it and stop the workers.
CREATE OR REPLACE FUNCTION noti.remove_endpoint(tenant text, name text) RETURNS boolean
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM noti.check_tenant(remove_endpoint.tenant);
  DELETE FROM noti.endpoints e WHERE e.tenant_id = remove_endpoint.tenant AND e.name = remove_endpoint.name;
  RETURN FOUND;
END $$;
