-- What is paused now. The table is tiny: every worker asks about once a second.
SELECT p.scope, p.name
  FROM noti.pauses p
 WHERE p.until IS NULL OR p.until > clock_timestamp();
