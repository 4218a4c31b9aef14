-- What the tries of one notification said, as far as that is kept, in order.
\set notification_id 1
SELECT k.attempt_number, k.recipient, k.subject, k.body, k.html, k.options, k.truncated, k.kept_until
  FROM noti.kept_contents k
 WHERE k.notification_id = cast(:notification_id AS bigint)
 ORDER BY k.attempt_number;
