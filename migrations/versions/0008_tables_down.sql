DROP TABLE noti.rights;
ALTER TABLE noti.notifications_log DROP COLUMN retries_said, ALTER COLUMN max_retries SET DEFAULT 3;
DROP TYPE noti.obstacle;
DROP VIEW noti.living_routes, noti.living;
DROP TABLE noti.worker_routes;
ALTER TABLE noti.notification_attempts_log DROP COLUMN stage, DROP COLUMN scope, DROP COLUMN rule;
