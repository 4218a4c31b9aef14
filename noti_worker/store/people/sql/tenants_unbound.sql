-- Tenants that have notifications and that no role is bound to: a look at one row of each.
\set most 20
WITH RECURSIVE tenant (tenant_id) AS (
    (SELECT n.tenant_id FROM noti.notifications_log n ORDER BY n.tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.tenant_id FROM noti.notifications_log n WHERE n.tenant_id > t.tenant_id ORDER BY n.tenant_id LIMIT 1)
      FROM tenant t
     WHERE t.tenant_id IS NOT NULL
)
SELECT t.tenant_id
  FROM tenant t
 WHERE t.tenant_id IS NOT NULL AND NOT EXISTS (SELECT FROM noti.tenant_members m WHERE m.tenant_id = t.tenant_id)
 LIMIT cast(:most AS bigint);
