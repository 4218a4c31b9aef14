-- Who may do what, from the rows of noti.rights: what is granted, and looked after by noti-worker doctor. `wanted` is the body of a
-- GRANT. What is not there (any more) is left out.
CREATE OR REPLACE FUNCTION noti.rights_of_roles() RETURNS TABLE (role text, privilege text, object text, columns text[], wanted text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT r.role, r.privilege, coalesce(p.oid::regprocedure::text, r.object), nullif(r.columns, '{}'),
         r.privilege || CASE WHEN r.columns = '{}' THEN '' ELSE ' (' || array_to_string(r.columns, ', ') || ')' END || ' ON '
         || CASE WHEN p.oid IS NOT NULL THEN 'FUNCTION ' || p.oid::regprocedure::text
                 WHEN c.relkind = 'S' THEN 'SEQUENCE noti.' || quote_ident(r.object)
                 WHEN c.oid IS NOT NULL THEN 'noti.' || quote_ident(r.object)
                 ELSE 'SCHEMA noti' END
    FROM noti.rights r
   CROSS JOIN (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti') AS house
    LEFT JOIN pg_proc p ON p.proname = r.object AND p.pronamespace = house.oid AND r.privilege = 'EXECUTE'
    LEFT JOIN pg_class c ON c.relname = r.object AND c.relnamespace = house.oid AND r.privilege <> 'EXECUTE'
   WHERE p.oid IS NOT NULL OR c.oid IS NOT NULL OR r.object = 'noti'
$$;
