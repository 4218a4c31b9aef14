ALTER TABLE noti.notification_attempts_log DROP COLUMN template;
ALTER TABLE noti.notifications_log DROP COLUMN template_version;
