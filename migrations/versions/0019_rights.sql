REVOKE EXECUTE ON FUNCTION noti.receive(json), noti.erase_receipts(text, text, bigint, int) FROM PUBLIC;
-- A request as it came is for nobody but those who read it: it names whoever the provider spoke of.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_worker', 'SELECT,INSERT,UPDATE,DELETE', 'receipts_raw,receipts', '{}'),
         ('noti_worker', 'SELECT,INSERT,DELETE', 'provider_references', '{}'),
         ('noti_worker', 'UPDATE', 'notifications_log', '{receipt,receipt_at}'),
         ('noti_worker', 'EXECUTE', 'receive,receipt_rank', '{}'),
         ('noti_app,noti_operator,noti_readonly', 'SELECT', 'receipts', '{}'),
         ('noti_operator,noti_readonly', 'SELECT', 'notifications_log', '{receipt,receipt_at}'),
         ('noti_operator', 'EXECUTE', 'erase_receipts', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may record a try may take over what is told afterwards, whoever reads the story reads that, too, and
-- whoever may erase may do so here. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, a.grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY[
           'SELECT, INSERT, UPDATE, DELETE ON noti.receipts_raw, noti.receipts', 'SELECT, INSERT, DELETE ON noti.provider_references',
           'UPDATE (receipt, receipt_at) ON noti.notifications_log', 'INSERT, UPDATE ON noti.replies',
           'EXECUTE ON FUNCTION noti.receive, noti.receipt_rank, noti.heard, noti.reply_word, noti.lift']) AS given (what)
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    UNION
    SELECT 'SELECT ON noti.receipts', a.grantee
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(c.relacl || t.attacl) AS a
     WHERE t.attrelid = 'noti.notification_attempts_log'::regclass AND t.attname = 'error_message' AND a.privilege_type = 'SELECT'
       AND a.grantee <> c.relowner
    UNION
    SELECT 'SELECT (receipt, receipt_at) ON noti.notifications_log', a.grantee
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(t.attacl) AS a
     WHERE t.attrelid = 'noti.notifications_log'::regclass AND t.attname = 'failed_at' AND a.privilege_type = 'SELECT'
       AND a.grantee NOT IN (0, c.relowner)
    UNION
    SELECT 'EXECUTE ON FUNCTION noti.erase_receipts', a.grantee
      FROM pg_proc p CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.erase(text, text, bigint, int, boolean)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, CASE WHEN one.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END);
  END LOOP;
END $$;
