ALTER TABLE noti.notifications_log DROP COLUMN retries_said;
DROP TABLE noti.worker_routes;
ALTER TABLE noti.notification_attempts_log DROP COLUMN stage, DROP COLUMN scope, DROP COLUMN rule;
