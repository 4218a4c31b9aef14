DELETE FROM noti.rights WHERE object = 'notification_attempts_log' AND columns = '{choice}';
ALTER TABLE noti.notification_attempts_log DROP COLUMN choice;
