-- Who may do what with limits.
INSERT INTO noti.rights (role, privilege, object)
SELECT role, privilege, object
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'limits,buckets'),
         ('noti_worker', 'SELECT', 'limits_revision'),
         ('noti_worker', 'INSERT,DELETE', 'buckets'),
         ('noti_operator', 'INSERT,UPDATE,DELETE', 'limits'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'limit_pace'),
         ('noti_worker', 'EXECUTE', 'allow,slow')) AS g (roles, privileges, objects)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;
