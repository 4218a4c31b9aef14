REVOKE EXECUTE ON FUNCTION noti.defer_copies(bigint, bigint, text, json) FROM PUBLIC;
INSERT INTO noti.rights (role, privilege, object, columns) VALUES
  ('noti_worker', 'EXECUTE', 'defer_copies', '{}'),
  ('noti_operator', 'SELECT', 'notifications_log', '{copy_of}'),
  ('noti_readonly', 'SELECT', 'notifications_log', '{copy_of}');

-- Roles of one's own: whoever may record a try may record that of a copy, and whoever may read when something failed may read
-- whose copy it was. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT 'EXECUTE ON FUNCTION noti.defer_copies(bigint, bigint, text, json)' AS what, a.grantee
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    UNION
    SELECT 'SELECT (copy_of) ON noti.notifications_log', a.grantee
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(t.attacl) AS a
     WHERE t.attrelid = 'noti.notifications_log'::regclass AND t.attname = 'failed_at' AND a.privilege_type = 'SELECT'
       AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('GRANT %s TO %I', one.what, pg_get_userbyid(one.grantee));
  END LOOP;
END $$;
