-- What each role that may do anything with notifications sees once tenants are isolated. Our groups are left out, and who has rights only
-- after SET ROLE: then it is the other role that counts.
SELECT cast(r.rolname AS text) AS role,
       CASE WHEN r.rolsuper THEN 'it is a superuser'
            WHEN r.rolbypassrls THEN 'it has BYPASSRLS'
            WHEN pg_has_role(r.oid, c.relowner, 'USAGE') THEN 'it owns the tables, or is a member of who does'
            WHEN EXISTS (SELECT FROM pg_roles g WHERE g.rolname IN ('noti_all_tenants', 'noti_worker') AND pg_has_role(r.oid, g.oid, 'USAGE'))
            THEN 'it is a member of noti_all_tenants or noti_worker' END AS all_by,
       ARRAY(SELECT m.tenant_id FROM noti.tenant_members m WHERE m.role = r.oid ORDER BY m.tenant_id) AS tenants
  FROM pg_roles r
  JOIN pg_class c ON c.oid = cast('noti.notifications_log' AS regclass)
 WHERE r.rolname !~ '^pg_'
   AND r.rolname <> ALL (ARRAY(SELECT g.role FROM noti.rights g))
   AND has_schema_privilege(r.oid, 'noti', 'USAGE')
   AND (has_any_column_privilege(r.oid, c.oid, 'SELECT') OR has_any_column_privilege(r.oid, c.oid, 'INSERT')
        OR has_any_column_privilege(r.oid, c.oid, 'UPDATE'))
   AND (NOT r.rolsuper OR r.rolcanlogin)
 ORDER BY 1;
