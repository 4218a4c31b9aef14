-- What is not sent now: pauses and open circuits, the oldest first.
SELECT c.cause, c.scope, c.tenant_id, c.name, c.reason, c.by, c.since, c.until
  FROM noti.closures c
 ORDER BY c.since, c.cause, c.scope, c.tenant_id, c.name
 LIMIT 1000;
