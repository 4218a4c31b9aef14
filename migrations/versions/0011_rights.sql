-- What the mask of a provider's words is made of.
INSERT INTO noti.rights (role, privilege, object)
SELECT role, 'EXECUTE', object
  FROM unnest(ARRAY['noti_app', 'noti_worker', 'noti_operator', 'noti_readonly']) AS role
 CROSS JOIN unnest(ARRAY['folded', 'address', 'clue', 'unnamed']) AS object;

-- Roles of one's own: whoever may mask may do what that is made of, and whoever may write a pause may say who does.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT 'noti.folded, noti.address, noti.clue, noti.unnamed' AS functions,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.masked(text, text)'::regprocedure AND a.grantee <> p.proowner
    UNION
    SELECT 'noti.actor', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid IN ('noti.pauses'::regclass, 'noti.circuits'::regclass) AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', one.functions, one.grantee);
  END LOOP;
END $$;
