-- Who may do what with the suppression list, the categories and the replies.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'suppressions,categories,replies', '{}'),
         ('noti_app,noti_worker,noti_operator', 'INSERT', 'suppressions', '{}'),
         ('noti_app,noti_worker,noti_operator', 'UPDATE', 'suppressions',
           '{hits,source,notification_id,note,reported_at,expires_at,lifted_at,lifted_by,requested_by}'),
         ('noti_worker', 'DELETE', 'suppressions', '{}'),   -- retention
         ('noti_operator', 'INSERT,UPDATE,DELETE', 'categories', '{}'),
         ('noti_app,noti_worker', 'INSERT,UPDATE,DELETE', 'replies', '{}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'ascii_domain,normal_address,address_hash', '{}'),
         ('noti_app,noti_worker,noti_operator', 'EXECUTE', 'suppression_fault,suppress,lift', '{}'),
         ('noti_app,noti_worker', 'EXECUTE', 'heard,reply_word', '{}'),
         ('noti_app', 'EXECUTE', 'actor', '{}'),
         ('noti_worker', 'EXECUTE', 'suppress_answers', '{}'),
         ('noti_operator', 'EXECUTE', 'erase_suppressions', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may record a try may do what comes of it and ask before the next one, and whoever may erase may do
-- so here. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, quote_ident(pg_get_userbyid(a.grantee)) AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY[
           'SELECT, INSERT, UPDATE ON noti.suppressions', 'SELECT ON noti.categories, noti.replies',
           'EXECUTE ON FUNCTION noti.ascii_domain, noti.normal_address, noti.address_hash, noti.suppression_fault, noti.suppress, noti.suppress_answers, noti.actor']) AS given (what)
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    UNION ALL
    SELECT 'EXECUTE ON FUNCTION noti.erase_suppressions', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = 'noti.erase(text, text, bigint, int, boolean)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;
