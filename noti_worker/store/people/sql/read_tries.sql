-- The tries of one notification as fields, in order; the losses and late results too.
\set notification_id 1
SELECT t.attempt_number, t.status, t.account, t.provider, t.kind, t.code, t.stage, t.scope, t.rule, t.provider_message_id,
       t.worker, t.started_at, t.duration_ms
  FROM noti.notification_attempts_log t
 WHERE t.notification_id = cast(:notification_id AS bigint)
 ORDER BY t.created_at, t.log_id;
