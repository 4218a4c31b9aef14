-- What waits for a person, by channel, status and reason: the :bound oldest of them.
--
-- Who held it and why stands in the audit line that did it.
\set bound 2000
SELECT row.channel, row.status, coalesce(line.reason, noti.masked(left(row.error, 500), row.recipient), 'not recorded') AS reason, count(*) AS rows,
       extract(epoch FROM now() - min(row.held_at))::float8 AS oldest_seconds,
       min(row.notification_id) AS example_id
  FROM (
       SELECT n.notification_id, n.channel, n.status, n.held_at, n.recipient, n.error_message AS error
         FROM noti.notifications_log n
        WHERE n.held_at IS NOT NULL AND n.status <> 'gathering'
        ORDER BY n.held_at
        LIMIT cast(:bound AS bigint)
       ) AS row
  LEFT JOIN LATERAL (
       SELECT CASE WHEN a.action = 'notification_triggered' THEN 'inserted as held'
                   WHEN a.action_by_type = 'db' THEN 'held by ' || a.action_by
                   WHEN a.metadata ? 'requested' THEN 'held as requested while it was being sent'
                   ELSE noti.masked(a.metadata ->> 'reason', row.recipient)
              END AS reason
         FROM noti.audit_log a
        WHERE a.entity_id = row.notification_id::text AND a.entity_type = 'notification'
          AND a.action IN ('notification_held', 'notification_unknown', 'notification_triggered')
        ORDER BY a.audit_id DESC
        LIMIT 1
       ) AS line ON true
 GROUP BY 1, 2, 3
 ORDER BY 4 DESC, 1, 2, 3;
