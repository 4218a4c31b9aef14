-- Whether the role that asks may see a tenant; NULL means all of them. The policies say the same of plain SQL. The owner of the tables
-- and its members are not bound, nor are those who may pass by row-level security.
CREATE OR REPLACE FUNCTION noti.sees_tenant(tenant text) RETURNS boolean LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  who oid;
BEGIN
  IF NOT noti.isolated() THEN
    RETURN true;
  END IF;
  who := quote_ident(noti.asker())::regrole;
  RETURN EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = who AND m.tenant_id = tenant)
      OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname IN ('noti_all_tenants', 'noti_worker') AND pg_has_role(who, r.oid, 'USAGE'))
      OR pg_has_role(who, (SELECT c.relowner FROM pg_class c WHERE c.oid = 'noti.notifications_log'::regclass), 'USAGE')
      OR (SELECT r.rolbypassrls FROM pg_roles r WHERE r.oid = who);
END $$;
