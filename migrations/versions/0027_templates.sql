-- What a row says of the version of its template (NULL: the newest when it is sent), and what a try was written from.
ALTER TABLE noti.notifications_log ADD COLUMN template_version int;
ALTER TABLE noti.notification_attempts_log ADD COLUMN template text;
