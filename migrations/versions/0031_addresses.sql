-- What is to be sent only if another notification was not, on another channel.
ALTER TABLE noti.notifications_log ADD COLUMN fallback_of bigint;

CREATE TRIGGER contacts_clean BEFORE UPDATE ON noti.contacts FOR EACH ROW
  WHEN (NEW.address IS DISTINCT FROM OLD.address) EXECUTE FUNCTION noti.on_contact();

REVOKE EXECUTE ON FUNCTION noti.on_contact() FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION noti.reached(bigint, bigint) FROM PUBLIC;

INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'reached,preferred_channels', '{}'),
         ('noti_worker', 'EXECUTE', 'contact_left', '{}'),
         ('noti_app', 'UPDATE', 'notifications_log', '{fallback_of}'),
         ('noti_operator,noti_readonly', 'SELECT', 'notifications_log', '{fallback_of}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may read why may go on to do so, and who may read when something failed may read what it waited for.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_attribute t
      JOIN pg_class c ON c.oid = t.attrelid
     CROSS JOIN LATERAL aclexplode(t.attacl) AS a
      JOIN (VALUES ('notifications_log', 'failed_at', 'SELECT (fallback_of) ON noti.notifications_log'),
                   ('notification_attempts_log', 'choice', 'EXECUTE ON FUNCTION noti.reached')) AS given (relation, attribute, what)
        ON c.relname = given.relation AND t.attname = given.attribute
     WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
       AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    UNION ALL
    SELECT 'EXECUTE ON FUNCTION noti.reached', CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = 'noti.notification_attempts_log'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;
