-- The routes of tenants of which something was changed after the version that is known.
\set known 0
SELECT r.tenant_id, r.channel, array_agg(r.account ORDER BY r.position) AS accounts
  FROM noti.account_versions v
  JOIN noti.routes r ON r.tenant_id = v.tenant_id
 WHERE v.version > cast(:known AS bigint)
 GROUP BY r.tenant_id, r.channel;
