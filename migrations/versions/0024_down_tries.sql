ALTER TABLE noti.notification_attempts_log DROP COLUMN tenant_id;
