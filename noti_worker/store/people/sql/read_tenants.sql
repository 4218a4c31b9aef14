-- The tenants that are written down, and those that have notifications; with :tenant that one alone, known or not. Along
-- notifications_log_created, from one tenant to the next, up to :bound of them.
\set tenant NULL
\set bound 10000
WITH RECURSIVE seen AS (
    (SELECT n.tenant_id, 1 AS number FROM noti.notifications_log n WHERE cast(:tenant AS text) IS NULL ORDER BY n.tenant_id LIMIT 1)
    UNION ALL
    SELECT following.tenant_id, s.number + 1
      FROM seen s
     CROSS JOIN LATERAL (SELECT n.tenant_id FROM noti.notifications_log n WHERE n.tenant_id > s.tenant_id ORDER BY n.tenant_id LIMIT 1) AS following
     WHERE s.number < cast(:bound AS int)
), named AS (
    SELECT s.tenant_id FROM seen s
     UNION
    SELECT t.tenant_id FROM noti.tenants t WHERE cast(:tenant AS text) IS NULL
     UNION
    SELECT cast(:tenant AS text) COLLATE "C" WHERE cast(:tenant AS text) IS NOT NULL
)
SELECT a.tenant_id, t.tenant_id IS NOT NULL AS known, coalesce(t.status, 'active') AS status, t.reason, t.status_at, t.status_by,
       t.waiting_rows, t.waiting_bytes, t.highest_priority, t.channels, t.providers, t.senders, t.hosts, t.refuses, t.set_by, t.set_at,
       (SELECT n.created_at FROM noti.notifications_log n WHERE n.tenant_id = a.tenant_id ORDER BY n.created_at DESC LIMIT 1) AS newest_at
  FROM named a
  LEFT JOIN noti.tenants t ON t.tenant_id = a.tenant_id
 ORDER BY a.tenant_id;
