CREATE TRIGGER tenant_tables_change AFTER INSERT OR UPDATE OR DELETE ON noti.tenant_tables FOR EACH ROW EXECUTE FUNCTION noti.on_tenant_table();
CREATE TRIGGER tenant_members_change AFTER INSERT OR DELETE ON noti.tenant_members FOR EACH ROW EXECUTE FUNCTION noti.on_tenant_member();
REVOKE EXECUTE ON FUNCTION noti.isolate_tenants(boolean) FROM PUBLIC;

INSERT INTO noti.rights (role, privilege, object)
SELECT role, privilege, object
  FROM (VALUES
         ('noti_all_tenants', 'USAGE', 'noti'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'tenant_members'),
         ('noti_worker,noti_operator,noti_readonly', 'SELECT', 'tenant_tables'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'isolated')) AS g (roles, privilege, objects)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, 'SELECT', 'notification_attempts_log', '{tenant_id}' FROM unnest('{noti_app,noti_operator,noti_readonly}'::text[]) AS role;

-- Roles of one's own that read tries read whose they are. Our own get theirs from the rows above.
DO $$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(t.attacl) AS a
     WHERE t.attrelid = 'noti.notification_attempts_log'::regclass AND t.attname = 'notification_id' AND a.privilege_type = 'SELECT'
       AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT SELECT (tenant_id) ON noti.notification_attempts_log TO %s', grantee);
  END LOOP;
END $$;
