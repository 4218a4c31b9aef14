-- How many lines stand in the default partitions, counted up to :bound.
\set bound 100000
SELECT 'notification_attempts_log' AS log, count(*) AS lines
  FROM (SELECT FROM noti.notification_attempts_log_default LIMIT cast(:bound AS bigint)) AS line
UNION ALL
SELECT 'audit_log', count(*)
  FROM (SELECT FROM noti.audit_log_default LIMIT cast(:bound AS bigint)) AS line;
