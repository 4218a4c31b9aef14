-- The link is a proof only where it was checked: no application takes an opt-out back by it.
REVOKE EXECUTE ON FUNCTION noti.unsubscribe(text, text, bytea, text, bigint), noti.resubscribe(text, text, bytea, text) FROM PUBLIC;
INSERT INTO noti.rights (role, privilege, object) VALUES
  ('noti_worker', 'EXECUTE', 'unsubscribe'),
  ('noti_worker', 'EXECUTE', 'resubscribe');

-- Roles of one's own: whoever may record a try. Our own get theirs from the rows above.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT DISTINCT quote_ident(pg_get_userbyid(a.grantee))
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'INSERT' AND a.grantee NOT IN (0, c.relowner)
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION noti.unsubscribe, noti.resubscribe TO %s', grantee);
  END LOOP;
END $$;
