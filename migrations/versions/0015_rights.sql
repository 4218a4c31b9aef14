-- Whoever may look at the living workers may call what that is made of.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, 'EXECUTE', object, '{}'
  FROM unnest(ARRAY['noti_app', 'noti_worker', 'noti_operator', 'noti_readonly']) AS role
 CROSS JOIN unnest(ARRAY['registered', 'registered_routes']) AS object;

-- Roles of one's own. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.oid::regprocedure::text AS function, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
      JOIN pg_proc f ON f.pronamespace = c.relnamespace AND f.proname IN ('registered', 'registered_routes')
     WHERE c.oid = 'noti.living'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'SELECT'
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', one.function, one.grantee);
  END LOOP;
END $$;
