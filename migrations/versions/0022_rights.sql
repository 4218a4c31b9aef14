-- Who may do what with endpoints and events. What endpoints were told, only functions of the owner write.
REVOKE EXECUTE ON FUNCTION noti.tell(bigint, text, text, text, text, text), noti.on_endpoint(), noti.next_envelope(noti.endpoints, bigint),
  noti.pump_events(bigint), noti.test_endpoint(text, text), noti.recover_endpoint(text, text, timestamptz) FROM PUBLIC;
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'endpoints,events,envelopes', '{}'),
         ('noti_app,noti_operator', 'INSERT,UPDATE', 'endpoints', '{tenant_id,name,url,events,channels,account,owner_channel,owner,state,state_reason}'),
         ('noti_app,noti_operator', 'DELETE', 'endpoints', '{}'),
         ('noti_worker', 'INSERT,DELETE', 'events', '{}'),
         ('noti_worker', 'DELETE', 'envelopes', '{}'),       -- retention
         ('noti_worker', 'EXECUTE', 'tell', '{}'),
         ('noti_worker', 'EXECUTE', 'pump_events', '{}'),
         ('noti_app,noti_operator', 'EXECUTE', 'test_endpoint,recover_endpoint', '{}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may record a try may note what happened and tell it, and whoever reads the story reads that, too. Our own
-- get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, a.grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY[
           'SELECT ON noti.endpoints', 'SELECT, INSERT, DELETE ON noti.events', 'SELECT, DELETE ON noti.envelopes',
           'EXECUTE ON FUNCTION noti.tell, noti.pump_events']) AS given (what)
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
    UNION
    SELECT 'SELECT ON noti.endpoints, noti.events, noti.envelopes', a.grantee
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(c.relacl || t.attacl) AS a
     WHERE t.attrelid = 'noti.notification_attempts_log'::regclass AND t.attname = 'error_message' AND a.privilege_type = 'SELECT'
       AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, CASE WHEN one.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(one.grantee)) END);
  END LOOP;
END $$;
