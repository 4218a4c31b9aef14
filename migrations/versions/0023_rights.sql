-- Who may do what with tenants and their settings.
REVOKE EXECUTE ON FUNCTION noti.on_tenant(), noti.on_setting() FROM PUBLIC;
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'tenants,settings', '{}'),
         ('noti_worker', 'UPDATE', 'tenants', '{refuses}'),
         ('noti_operator', 'INSERT,UPDATE,DELETE', 'tenants,settings', '{}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'setting', '{}'),
         ('noti_worker', 'EXECUTE', 'watch_tenants', '{}'),
         ('noti_operator,noti_readonly', 'EXECUTE', 'usage_report', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may read what is closed may read who is suspended, and whoever may write down which quotas are full does
-- the same of tenants. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
      JOIN (VALUES ('closures', 'SELECT', 'SELECT ON noti.tenants, noti.settings'),
                   ('closures', 'SELECT', 'EXECUTE ON FUNCTION noti.setting'),
                   ('full_quotas', 'INSERT', 'UPDATE (refuses) ON noti.tenants'),
                   ('full_quotas', 'INSERT', 'EXECUTE ON FUNCTION noti.watch_tenants')) AS given (object, privilege, what)
        ON given.object = c.relname AND given.privilege = a.privilege_type
     WHERE c.relnamespace = 'noti'::regnamespace AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;
