-- The tenant is gone: refused while anything of it is left. What was removed stays in the audit log, as a line of the installation's.
CREATE OR REPLACE FUNCTION noti.end_removal(tenant text, removed jsonb, person text DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  remains text;
BEGIN
  SELECT string_agg(c.rows::text || ' in ' || c.of_table, ', ') INTO remains
    FROM noti.count_tenant(end_removal.tenant) c WHERE c.rows > 0 AND c.of_table <> 'tenants';
  IF remains IS NOT NULL THEN
    RAISE EXCEPTION 'noti: something of the tenant % is left: %. Remove it again.', end_removal.tenant, remains
      USING ERRCODE = 'check_violation', CONSTRAINT = 'tenants_sane';
  END IF;
  PERFORM set_config('noti.removed', end_removal.removed::text, true), set_config('noti.person', coalesce(end_removal.person, ''), true);
  DELETE FROM noti.tenants t WHERE t.tenant_id = end_removal.tenant AND t.status = 'removing';
END $$;
