-- Whether tenants are isolated.
CREATE OR REPLACE FUNCTION noti.isolated() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = 'noti.notifications_log'::regclass
$$;
