CREATE TRIGGER tenant_tables_change AFTER INSERT OR UPDATE OR DELETE ON noti.tenant_tables FOR EACH ROW EXECUTE FUNCTION noti.on_tenant_table();
CREATE TRIGGER tenant_members_change AFTER INSERT OR UPDATE OR DELETE ON noti.tenant_members FOR EACH ROW EXECUTE FUNCTION noti.on_tenant_member();
CREATE TRIGGER tenant_members_emptied AFTER TRUNCATE ON noti.tenant_members FOR EACH STATEMENT EXECUTE FUNCTION noti.on_tenant_member();
REVOKE EXECUTE ON FUNCTION noti.isolate_tenants(boolean), noti.unlimit, noti.unset, noti.remove_endpoint, noti.pause, noti.resume, noti.heard, noti.on_tenant_member() FROM PUBLIC;

-- Whoever may delete from a table, or update it as a whole, may lock it against the workers: an operator or an application of one tenant
-- must not. The functions do it; by plain SQL those who are for all tenants.
DO $$
DECLARE
  of record;
BEGIN
  FOR of IN
    SELECT r.role, r.privilege, r.object, array_agg(a.attname::text ORDER BY a.attnum) AS columns
      FROM noti.rights r
      JOIN pg_attribute a ON a.attrelid = format('noti.%I', r.object)::regclass AND a.attnum > 0 AND NOT a.attisdropped
     WHERE r.privilege IN ('UPDATE', 'DELETE') AND r.columns = '{}'
       AND (r.role = 'noti_operator' AND r.object IN ('pauses', 'limits', 'circuits', 'categories', 'tenants', 'settings', 'endpoints')
            OR r.role = 'noti_app' AND r.object IN ('replies', 'endpoints'))
     GROUP BY 1, 2, 3
  LOOP
    IF to_regrole(of.role) IS NOT NULL THEN
      EXECUTE format('REVOKE %s ON noti.%I FROM %I', of.privilege, of.object, of.role);
    END IF;
    DELETE FROM noti.rights r WHERE (r.role, r.privilege, r.object, r.columns) = (of.role, of.privilege, of.object, '{}');
    INSERT INTO noti.rights
    SELECT of.role, of.privilege, of.object, of.columns WHERE of.privilege = 'UPDATE'
    UNION ALL
    SELECT 'noti_all_tenants', of.privilege, of.object, '{}' WHERE of.role = 'noti_operator';
  END LOOP;
END $$;

INSERT INTO noti.rights (role, privilege, object)
SELECT role, privilege, object
  FROM (VALUES
         ('noti_all_tenants', 'USAGE', 'noti'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'SELECT', 'tenant_members,tenant_lists'),
         ('noti_worker,noti_operator,noti_readonly', 'SELECT', 'tenant_tables'),
         ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'isolated'),
         ('noti_operator', 'EXECUTE', 'unlimit'),
         ('noti_operator', 'EXECUTE', 'unset'),
         ('noti_app,noti_operator', 'EXECUTE', 'remove_endpoint')) AS g (roles, privilege, objects)
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object;
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, 'SELECT', 'notification_attempts_log', '{tenant_id}' FROM unnest('{noti_app,noti_operator,noti_readonly}'::text[]) AS role;

-- Roles of one's own that read tries read whose they are. Our own get theirs from the rows above.
DO $$
DECLARE
  grantee text;
  given   record;
BEGIN
  FOR grantee IN
    SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid CROSS JOIN LATERAL aclexplode(t.attacl) AS a
     WHERE t.attrelid = 'noti.notification_attempts_log'::regclass AND t.attname = 'notification_id' AND a.privilege_type = 'SELECT'
       AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT SELECT (tenant_id) ON noti.notification_attempts_log TO %s', grantee);
  END LOOP;
  -- and those that could write pauses, limits and replies themselves may ask the functions that do it now
  FOR given IN
    SELECT DISTINCT w.functions, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM (VALUES ('noti.pauses', 'noti.pause, noti.resume'), ('noti.limits', 'noti.unlimit'), ('noti.settings', 'noti.unset'), ('noti.endpoints', 'noti.remove_endpoint'), ('noti.replies', 'noti.heard')) AS w (place, functions)
      JOIN pg_class c ON c.oid = w.place::regclass
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE a.privilege_type = 'DELETE' AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', given.functions, given.grantee);
  END LOOP;
END $$;
