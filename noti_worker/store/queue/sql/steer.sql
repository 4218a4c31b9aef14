-- What is not sent now, for a worker, and why. With it come, where there are any, whether an endpoint hears what becomes of messages,
-- whether anybody has quiet hours or a category a send window or a cap, and the version of the tenants' own accounts. The tables behind it are tiny: every worker asks about once a second.
SELECT c.cause, c.scope, c.tenant_id, c.name, c.until
  FROM noti.closures c
 UNION ALL
SELECT 'endpoints', '', '', '', NULL
 WHERE EXISTS (SELECT FROM noti.endpoints e WHERE e.state <> 'disabled')
 UNION ALL
SELECT 'hours', '', '', '', NULL
 WHERE EXISTS (SELECT FROM noti.settings s WHERE s.key = 'quiet_hours')
    OR EXISTS (SELECT FROM noti.contacts c WHERE c.quiet_from IS NOT NULL)
    OR EXISTS (SELECT FROM noti.categories c WHERE c.send_window IS NOT NULL OR c.cap_amount IS NOT NULL)
 UNION ALL
SELECT 'accounts', '', '', max(v.version)::text, NULL
  FROM noti.account_versions v
HAVING max(v.version) IS NOT NULL;
