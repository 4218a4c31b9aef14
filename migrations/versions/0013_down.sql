DELETE FROM noti.rights WHERE object = 'defer_copies' OR columns = '{copy_of}';
DROP INDEX noti.notifications_log_copies;
ALTER TABLE noti.notifications_log DROP COLUMN copy_of;
