-- What is not sent now, and why. The tables behind it are tiny: every worker asks about once a second. With it comes, as a row without
-- a cause, the version of the tenants' own accounts, where there were any.
SELECT c.cause, c.scope, c.tenant_id, c.name, c.until
  FROM noti.closures c
 UNION ALL
SELECT NULL, '', '', max(v.version)::text, NULL
  FROM noti.account_versions v
HAVING max(v.version) IS NOT NULL;
