-- What failed within :span, by channel, account and kind of the last answer, each with its newest error: the :bound
-- newest failures. One that failed without a try has no account.
\set span '''1 hour'''
\set bound 5000
SELECT row.channel, line.account, line.kind, count(*) AS rows,
       (array_agg(row.notification_id ORDER BY row.failed_at DESC))[1] AS example_id,
       (array_agg(noti.masked(row.error, row.recipient) ORDER BY row.failed_at DESC))[1] AS error
  FROM (
       SELECT n.notification_id, n.channel, n.failed_at, n.recipient, left(n.error_message, 500) AS error
         FROM noti.notifications_log n
        WHERE n.failed_at >= now() - cast(:span AS interval)
        ORDER BY n.failed_at DESC
        LIMIT cast(:bound AS bigint)
       ) AS row
  LEFT JOIN LATERAL (
       SELECT a.metadata ->> 'account' AS account, a.metadata ->> 'kind' AS kind
         FROM noti.audit_log a
        WHERE a.entity_id = row.notification_id::text AND a.entity_type = 'notification'
          AND a.action = 'notification_failed'
        ORDER BY a.audit_id DESC
        LIMIT 1
       ) AS line ON true
 GROUP BY 1, 2, 3
 ORDER BY 4 DESC, 1, 2, 3;
