-- The accounts whose newest tries were all not accepted, for no fault of the messages: how many in a row, since when the last one
-- was answered otherwise (NULL: not within :span), and the newest of them. Among the :bound newest tries.
\set span '''5 minutes'''
\set bound 20000
WITH newest AS MATERIALIZED (
    SELECT t.log_id, t.created_at, t.notification_id, t.account, t.kind, left(t.error_message, 500) AS error,
           t.kind IN ('transient', 'throttled', 'config', 'uncertain') AS refused
      FROM noti.notification_attempts_log t
     WHERE t.created_at >= now() - cast(:span AS interval)
       AND t.status NOT IN ('lost', 'stale') AND t.account IS NOT NULL
     ORDER BY t.created_at DESC, t.log_id DESC
     LIMIT cast(:bound AS bigint)
),
answered AS (
    SELECT n.account, max(n.created_at) FILTER (WHERE NOT n.refused) AS at FROM newest AS n GROUP BY 1
),
since AS (
    SELECT a.account, a.at, count(*) AS tries, min(n.created_at) AS began, max(n.log_id) AS log_id
      FROM answered AS a
      JOIN newest AS n ON n.account = a.account AND n.refused AND (a.at IS NULL OR n.created_at > a.at)
     GROUP BY 1, 2
)
SELECT s.account, s.tries, last.kind, last.notification_id AS example_id,
       extract(epoch FROM clock_timestamp() - coalesce(s.at, s.began))::float8 AS seconds, s.at IS NOT NULL AS answered_before,
       noti.masked(last.error, n.recipient) AS error
  FROM since AS s
  JOIN newest AS last ON last.log_id = s.log_id
  LEFT JOIN noti.notifications_log n ON n.notification_id = last.notification_id
 WHERE s.tries >= 3
 ORDER BY s.tries DESC, s.account
 LIMIT 8;
