REVOKE EXECUTE ON FUNCTION noti.erase_kept(text, text, bigint, int, boolean), noti.erase_contacts(text, text, boolean) FROM PUBLIC;

-- Who may read the whole answers of providers may read this, too.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_worker', 'SELECT,INSERT,DELETE', 'kept_contents', '{}'),
         ('noti_app,noti_operator', 'SELECT', 'kept_contents', '{}'),
         ('noti_readonly', 'SELECT', 'kept_contents', '{kept_id,notification_id,attempt_number,tenant_id,channel,truncated,kept_until,created_at}'),
         ('noti_operator', 'UPDATE', 'categories', '{keep_content}'),
         ('noti_operator', 'EXECUTE', 'erase_kept,erase_contacts', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may record a try may keep what it said, and whoever may erase may do so here.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT 'SELECT, INSERT, DELETE ON noti.kept_contents' AS what, a.grantee
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    UNION
    SELECT 'EXECUTE ON FUNCTION noti.erase_kept, noti.erase_contacts', a.grantee
      FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.erase(text, text, bigint, int, boolean)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, CASE WHEN one.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END);
  END LOOP;
END $$;
