-- The tenants whose finished notifications are kept for a time of their own.
SELECT s.tenant_id, make_interval(days => cast(s.value #>> '{}' AS int)) AS age
  FROM noti.settings s
 WHERE s.key = 'retention_days'
 ORDER BY s.tenant_id;
