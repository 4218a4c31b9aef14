-- The pauses in force, the oldest first.
SELECT p.scope, p.name, p.reason, p.paused_by, p.created_at, p.until
  FROM noti.pauses p
 WHERE p.until IS NULL OR p.until > clock_timestamp()
 ORDER BY p.created_at, p.scope, p.name
 LIMIT 1000;
