-- Partitioned tables are never analyzed by autovacuum; questions of people are planned by what this finds.
ANALYZE noti.notification_attempts_log, noti.audit_log;
