-- Applications that own the tables, or can become who owns them: row-level security does not bind them.
SELECT cast(r.rolname AS text) AS role,
       CASE WHEN r.oid = c.relowner THEN 'owns the tables' ELSE 'is a member of the owner of the tables' END AS how
  FROM pg_roles r
  JOIN pg_class c ON c.oid = cast('noti.notifications_log' AS regclass)
 WHERE r.rolcanlogin AND NOT r.rolsuper AND pg_has_role(r.oid, c.relowner, 'MEMBER')
   AND (r.oid IN (SELECT m.role FROM noti.tenant_members m)
        OR pg_has_role(r.oid, (SELECT g.oid FROM pg_roles g WHERE g.rolname = 'noti_app'), 'MEMBER'))
 ORDER BY 1;
