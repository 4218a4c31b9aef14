-- What is not sent now, for a worker, and why. With it come, where there are any, whether an endpoint hears what becomes of messages,
-- and the version of the tenants' own accounts. The tables behind it are tiny: every worker asks about once a second.
SELECT c.cause, c.scope, c.tenant_id, c.name, c.until
  FROM noti.closures c
 UNION ALL
SELECT 'endpoints', '', '', '', NULL
 WHERE EXISTS (SELECT FROM noti.endpoints e WHERE e.state <> 'disabled')
 UNION ALL
SELECT 'accounts', '', '', max(v.version)::text, NULL
  FROM noti.account_versions v
HAVING max(v.version) IS NOT NULL;
