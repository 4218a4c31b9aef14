-- Who may do what with what is closed.
DELETE FROM noti.rights WHERE object = 'pause_words';
INSERT INTO noti.rights (role, privilege, object)
SELECT role, privilege, object
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'closures,circuits'),
         ('noti_worker', 'INSERT,UPDATE', 'circuits'),
         ('noti_operator', 'INSERT,UPDATE,DELETE', 'circuits'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'closed_by,closure_words'),
         ('noti_worker', 'EXECUTE', 'open_circuit,take_probes,end_probe,hasten_probes,actor'),
         ('noti_operator', 'EXECUTE', 'open_circuit,close_circuit')) AS g (roles, privileges, objects)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may read what is paused may read what is closed, and whoever may ask for the next step may ask
-- for what that is made of. Our own roles get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT 'SELECT ON noti.closures, noti.circuits' AS given,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.pauses'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    UNION ALL
    SELECT 'EXECUTE ON FUNCTION noti.closed_by, noti.closure_words',
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.next_step(noti.notifications_log)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.given, one.grantee);
  END LOOP;
END $$;
