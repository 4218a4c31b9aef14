-- Delete the rows of a tenant that is being removed from some pages of one table; gives how many. Page by page, so that each step is
-- short, no row is walked twice, and no index is needed. For the owner of the tables.
CREATE OR REPLACE FUNCTION noti.remove_pages(tenant text, name text, from_page bigint, pages bigint) RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  one  record;
  gone bigint;
BEGIN
  IF NOT EXISTS (SELECT FROM noti.tenants t WHERE t.tenant_id = tenant AND t.status = 'removing') THEN
    RAISE EXCEPTION 'noti: the tenant % is not being removed. Suspend it, and remove it with noti-worker tenant remove.', tenant
      USING ERRCODE = 'check_violation', CONSTRAINT = 'tenants_sane';
  END IF;
  SELECT t.* INTO STRICT one FROM noti.tables_of_tenant() t WHERE t.name = remove_pages.name AND t.of_table <> 'tenants';
  EXECUTE format('DELETE FROM noti.%I t WHERE t.ctid >= %L::tid AND t.ctid < %L::tid AND (%s)', one.name,
                 '(' || from_page::text || ',0)', '(' || (from_page + pages)::text || ',0)',
                 noti.tenant_condition(one.of_table, one.by_tenant, one.by_notification)) USING tenant;
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
