-- Remove the limits of an account, a tenant's channel or a destination, of one period ('' is the rate) or with NULL all; gives the
-- periods of those that there were. As a function, since whoever may delete from a table may also lock it and stop the workers.
CREATE OR REPLACE FUNCTION noti.unlimit(scope text, tenant text, name text, period text DEFAULT NULL, removed_by text DEFAULT NULL)
  RETURNS SETOF text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  PERFORM noti.check_tenant(NULL);   -- a tenant does not set its own limits
  PERFORM set_config('noti.person', coalesce(unlimit.removed_by, ''), true);
  RETURN QUERY
    DELETE FROM noti.limits l
     WHERE l.scope = unlimit.scope AND l.tenant_id = coalesce(unlimit.tenant, '') AND l.name = unlimit.name
       AND l.period = coalesce(unlimit.period, l.period)
    RETURNING l.period;
  PERFORM set_config('noti.person', '', true);
END $$;
