-- The body of one row, however long.
\set id 1
SELECT n.body FROM noti.notifications_log n WHERE n.notification_id = cast(:id AS bigint);
