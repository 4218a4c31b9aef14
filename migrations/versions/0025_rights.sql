-- Who may do what with accounts. What a secret is sealed as only workers read; of an account everybody who asks for the next step of a
-- row must see that there is one.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app', 'SELECT', 'accounts', '{tenant_id,name,provider,channels,mode,enabled,set_by,set_at}'),
         ('noti_worker,noti_operator,noti_readonly', 'SELECT', 'accounts', '{}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'routes', '{}'),
         ('noti_operator', 'INSERT', 'accounts,routes,secrets', '{}'),
         ('noti_operator', 'UPDATE', 'accounts', '{provider,channels,settings,mode,enabled,version,set_by,set_at}'),
         -- whoever may delete from a table may lock it against the workers: an operator of one tenant asks the functions
         ('noti_all_tenants', 'DELETE', 'accounts,routes,secrets', '{}'),
         ('noti_operator', 'EXECUTE', 'remove_account,remove_secret,set_route', '{}'),
         ('noti_worker', 'SELECT', 'secrets,account_versions', '{}'),
         ('noti_operator,noti_readonly', 'SELECT', 'secrets', '{tenant_id,account,purpose,key_id,version,set_by,set_at}'),
         ('noti_operator', 'UPDATE', 'secrets', '{key_id,sealed,version,set_by,set_at}'),
         ('noti_worker', 'UPDATE', 'secrets', '{key_id,sealed}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'own_route', '{}')) AS g (roles, privileges, objects, columns)
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
    SELECT given.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY['SELECT (tenant_id, name, provider, channels, mode, enabled, set_by, set_at) ON noti.accounts',
                             'SELECT ON noti.routes']) AS given (what)
     WHERE c.oid = 'noti.closures'::regclass AND a.grantee <> c.relowner AND a.privilege_type = 'SELECT'
    UNION ALL
    SELECT 'SELECT ON noti.accounts, noti.secrets, noti.account_versions', quote_ident(pg_get_userbyid(a.grantee))
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    UNION ALL
    SELECT 'EXECUTE ON FUNCTION noti.own_route', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.next_step(noti.notifications_log)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;

INSERT INTO noti.tenant_tables (name, reads, writes) VALUES
  ('accounts', 'mine', 'mine'),
  ('routes', 'mine', 'mine'),
  ('secrets', 'mine', 'mine'),   -- what is sealed in them is for workers alone
  ('account_versions', 'mine', 'nobody');
