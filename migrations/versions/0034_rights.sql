-- Behind notifications_log_new, by its name. The others pay for a look at one column.
CREATE TRIGGER notifications_log_parked BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN (NEW.digest_key IS NOT NULL) EXECUTE FUNCTION noti.on_digest();

REVOKE EXECUTE ON FUNCTION noti.on_digest(), noti.digest_fault(jsonb), noti.next_local(text, text, timestamptz),
  noti.gathers_until(text, text, text, text, timestamptz), noti.close_digests(int, timestamptz) FROM PUBLIC;
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, g.privilege, g.object, g.columns::text[]
  FROM (VALUES
         ('noti_app', 'INSERT', 'notifications_log', '{digest_key}'),
         ('noti_operator,noti_readonly', 'SELECT', 'notifications_log', '{digest_key}'),
         ('noti_worker', 'EXECUTE', 'close_digests', '{}'),
         ('noti_worker', 'EXECUTE', 'next_local', '{}'),
         ('noti_worker', 'EXECUTE', 'gathers_until', '{}'),
         ('noti_worker', 'UPDATE', 'notifications_log', '{digest_key}')) AS g (roles, privilege, object, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role;

-- Roles of one's own: who may read when something failed may read what it gathers with, and whoever may record a try may close digests.
-- Who may send by the function of before may do so by the one that takes its place. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  IF EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
                AND p.proname = 'send' AND p.pronargs = 23 AND p.proacl IS NOT NULL) THEN
    REVOKE EXECUTE ON FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text, text,
  text, jsonb, jsonb, text, int, text) FROM PUBLIC;
  END IF;
  FOR one IN
    SELECT 'EXECUTE ON FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text, text,
  text, jsonb, jsonb, text, int, text)' AS what,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti') AND p.proname = 'send' AND p.pronargs = 23
       AND a.grantee <> p.proowner
    UNION ALL
    SELECT 'SELECT (digest_key) ON noti.notifications_log', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_attribute t
      JOIN pg_class c ON c.oid = t.attrelid
     CROSS JOIN LATERAL aclexplode(t.attacl) AS a
     WHERE c.oid = 'noti.notifications_log'::regclass AND t.attname = 'failed_at' AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    UNION ALL
    SELECT given.what, quote_ident(pg_get_userbyid(a.grantee))
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY['EXECUTE ON FUNCTION noti.close_digests, noti.next_local, noti.gathers_until', 'UPDATE (digest_key) ON noti.notifications_log']) AS given (what)
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;
DROP FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text, text,
  text, jsonb, jsonb, text, int);
