-- The roles that are bound to tenants; one that was dropped goes by its number.
SELECT coalesce(cast(r.rolname AS text), cast(cast(m.role AS oid) AS text)) AS role, r.oid IS NOT NULL AS exists,
       array_agg(m.tenant_id ORDER BY m.tenant_id) AS tenants
  FROM noti.tenant_members m
  LEFT JOIN pg_roles r ON r.oid = m.role
 GROUP BY m.role, r.oid, r.rolname
 ORDER BY 1;
