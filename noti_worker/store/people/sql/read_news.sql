-- What was written of notifications behind a line of the audit log, in the order of its key.
\set after_at '''2026-01-01 00:00+00'''
\set after_id 0
\set limit 1000
SELECT a.audit_id AS id, a.created_at AS at, cast(a.entity_id AS bigint) AS notification_id,
       CASE WHEN a.action = 'notification_triggered' THEN 'queued' ELSE replace(substr(a.action, length('notification_') + 1), '_', ' ') END AS event,
       concat_ws(', ', CASE WHEN a.action_by_type = 'worker' THEN noti.masked(a.metadata->>'reason', NULL) END,
                 'account ' || (a.metadata->>'account'), 'next try in ' || noti.span((a.metadata->>'wait_s')::numeric)) AS detail,
       a.action_by AS by
  FROM noti.audit_log a
 WHERE (a.created_at, a.audit_id) > (cast(:after_at AS timestamptz), cast(:after_id AS bigint)) AND a.entity_type = 'notification'
 ORDER BY a.created_at, a.audit_id LIMIT cast(:limit AS bigint);
