-- Take tenants from a role, by its name or, when it was dropped, by its number.
\set role '''postgres'''
\set tenants '''{acme}'''
DELETE FROM noti.tenant_members m
 WHERE m.tenant_id = ANY (cast(:tenants AS text[]))
   AND CASE WHEN EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.role)
            THEN m.role = (SELECT r.oid FROM pg_roles r WHERE r.rolname = cast(:role AS text))
            ELSE cast(cast(m.role AS oid) AS text) = cast(:role AS text) END
RETURNING m.tenant_id;
