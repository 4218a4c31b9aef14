-- Who may do what with versions of templates.
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object, g.columns::text[]
  FROM (VALUES
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'template_versions', '{}'),
         ('noti_operator', 'INSERT', 'template_versions', '{}'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'languages,default_languages,template_names,template_texts', '{}'),
         ('noti_operator', 'EXECUTE', 'publish', '{}'),
         ('noti_app', 'INSERT', 'notifications_log', '{template_version}'),
         ('noti_operator,noti_readonly', 'SELECT', 'notifications_log', '{template_version}'),
         ('noti_app,noti_operator,noti_readonly', 'SELECT', 'notification_attempts_log', '{template}')) AS g (roles, privileges, objects, columns)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;

-- Roles of one's own: whoever may read templates may read their versions, and who may read when something failed may read which
-- version it was. Our own get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT given.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY[
           'SELECT ON noti.template_versions, noti.settings',
           'EXECUTE ON FUNCTION noti.setting, noti.languages, noti.default_languages, noti.template_names, noti.template_texts']) AS given (what)
     WHERE c.oid = 'noti.templates'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
    UNION ALL
    SELECT given.what, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_attribute t
      JOIN pg_class c ON c.oid = t.attrelid
     CROSS JOIN LATERAL aclexplode(t.attacl) AS a
      JOIN (VALUES ('notifications_log', 'failed_at', 'SELECT (template_version) ON noti.notifications_log'),
                   ('notification_attempts_log', 'choice', 'SELECT (template) ON noti.notification_attempts_log')) AS given (relation, attribute, what)
        ON c.relname = given.relation AND t.attname = given.attribute
     WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
       AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT %s TO %s', one.what, one.grantee);
  END LOOP;
END $$;

-- Who may send by the function of before may do so by the one that takes its place.
DO $$
DECLARE
  one record;
BEGIN
  IF EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
                AND p.proname = 'send' AND p.pronargs = 22 AND p.proacl IS NOT NULL) THEN
    REVOKE EXECUTE ON FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text,
      int, text, text, text, text, text, jsonb, jsonb, text, int) FROM PUBLIC;
  END IF;
  FOR one IN
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti') AND p.proname = 'send' AND p.pronargs = 22
       AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text,
      int, text, text, text, text, text, jsonb, jsonb, text, int) TO %s', one.grantee);
  END LOOP;
END $$;
DROP FUNCTION noti.send(text, text, text, text, text, jsonb, text, text, text, text, timestamptz, timestamptz, text, int, text, text, text, text,
  text, jsonb, jsonb, text);

INSERT INTO noti.tenant_tables (name, reads, writes) VALUES ('template_versions', 'mine', 'mine');
