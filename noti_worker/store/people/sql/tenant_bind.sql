-- Bind a role to tenants; gives those that are new to it.
\set role '''postgres'''
\set tenants '''{acme}'''
INSERT INTO noti.tenant_members (role, tenant_id)
SELECT r.oid, t.tenant_id
  FROM pg_roles r
 CROSS JOIN unnest(cast(:tenants AS text[])) AS t (tenant_id)
 WHERE r.rolname = cast(:role AS text)
    ON CONFLICT DO NOTHING
RETURNING tenant_id;
