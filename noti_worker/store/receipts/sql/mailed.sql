-- Whom an e-mail went to: a report that comes back speaks of one of them. What is itself a copy went to its recipient alone.
\set notification_id 1
SELECT message_id, recipient,
       CASE WHEN copy_of IS NULL THEN options->'cc' END AS cc,
       CASE WHEN copy_of IS NULL THEN options->'bcc' END AS bcc
  FROM noti.notifications_log
 WHERE notification_id = cast(:notification_id AS bigint) AND channel = 'email';
