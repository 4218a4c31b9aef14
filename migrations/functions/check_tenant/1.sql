-- Refuse in words what the role that asks may not do to a tenant; NULL means to all of them.
CREATE OR REPLACE FUNCTION noti.check_tenant(tenant text) RETURNS void LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT noti.sees_tenant(tenant) THEN
    IF tenant IS NULL THEN
      RAISE EXCEPTION 'noti: the role % is bound to tenants and does this only to one of its own. Name the tenant.', noti.asker()
        USING ERRCODE = 'insufficient_privilege';
    END IF;
    RAISE EXCEPTION 'noti: the role % is not bound to that tenant. Name one of its own: noti-worker tenant members shows them.', noti.asker()
      USING ERRCODE = 'insufficient_privilege';
  END IF;
END $$;
