-- All that is kept of what was answered to the tries of one notification, in order. A lost try has no answer.
\set notification_id 1
SELECT t.attempt_number, t.status, t.account, t.response_data AS response
  FROM noti.notification_attempts_log t
 WHERE t.notification_id = cast(:notification_id AS bigint) AND t.status <> 'lost'
 ORDER BY t.created_at, t.log_id;
