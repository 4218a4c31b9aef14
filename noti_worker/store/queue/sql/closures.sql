-- What is not sent now, and why; and whether an endpoint hears what becomes of messages. The tables behind it are tiny: every worker
-- asks about once a second.
SELECT c.cause, c.scope, c.tenant_id, c.name, c.until
  FROM noti.closures c
 UNION ALL
SELECT 'endpoints', '', '', '', NULL
 WHERE EXISTS (SELECT FROM noti.endpoints e WHERE e.state <> 'disabled');
