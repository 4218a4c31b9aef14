-- Who may do what with limits.
INSERT INTO noti.rights (role, privilege, object)
SELECT role, privilege, object
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'limits,buckets,usage,spent'),
         ('noti_worker,noti_operator,noti_readonly', 'SELECT', 'limits_revision,full_quotas'),
         ('noti_worker', 'INSERT,DELETE', 'buckets,usage'),
         ('noti_worker', 'INSERT,UPDATE,DELETE', 'spent,full_quotas'),
         ('noti_operator', 'INSERT,UPDATE,DELETE', 'limits'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'destination,limit_pace,allowance,rate_words,obstacle_limited'),
         ('noti_worker', 'EXECUTE', 'allow,slow,watch_quotas')) AS g (roles, privileges, objects)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may read what is closed may read what that is made of now, and whoever may ask for the next step may ask
-- for what that is made of. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT 'SELECT ON noti.limits, noti.buckets, noti.usage, noti.spent' AS given,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.closures'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'SELECT'
    UNION ALL
    SELECT 'EXECUTE ON FUNCTION noti.destination, noti.limit_pace, noti.allowance, noti.rate_words, noti.obstacle_limited',
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.next_step(noti.notifications_log)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.given, one.grantee);
  END LOOP;
END $$;
