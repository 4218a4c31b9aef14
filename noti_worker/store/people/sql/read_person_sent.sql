-- Notifications of a person, and why each is where it is: the reason of its last decision or try, else its last error.
\set ids 'array[1, 2]'
SELECT n.notification_id, n.channel, n.recipient, n.status, n.category, n.template_id, n.created_at, coalesce(n.finished_at, n.held_at) AS since,
       CASE WHEN n.status <> 'sent' THEN coalesce(last.reason, noti.masked(n.error_message, n.recipient)) END AS reason
  FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
  JOIN noti.notifications_log n ON n.notification_id = wanted.id
  LEFT JOIN LATERAL (
       SELECT a.metadata->>'reason' AS reason
         FROM noti.audit_log a
        WHERE a.entity_id = wanted.id::text AND a.entity_type = 'notification' AND a.metadata ? 'reason'
        ORDER BY a.created_at DESC, a.audit_id DESC
        LIMIT 1) AS last ON true
 ORDER BY n.notification_id DESC;
