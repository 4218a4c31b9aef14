-- The most frequent tries that were not accepted within :span, by account and kind, each with its newest error and out of how many
-- tries of the account: among the :bound newest tries. Losses and late results say nothing about an account.
\set span '''5 minutes'''
\set bound 20000
WITH newest AS MATERIALIZED (
    SELECT t.log_id, t.notification_id, t.account, t.kind, left(t.error_message, 500) AS error
      FROM noti.notification_attempts_log t
     WHERE t.created_at >= now() - cast(:span AS interval)
       AND t.status NOT IN ('lost', 'stale')
     ORDER BY t.created_at DESC, t.log_id DESC
     LIMIT cast(:bound AS bigint)
),
counted AS (
    SELECT n.account, n.kind, count(*) AS tries, max(n.log_id) AS log_id,
           sum(count(*)) OVER (PARTITION BY n.account)::bigint AS of
      FROM newest AS n
     GROUP BY 1, 2
)
SELECT c.account, c.kind, c.tries, c.of, last.notification_id AS example_id,
       noti.masked(last.error, n.recipient) AS error
  FROM counted AS c
  JOIN newest AS last ON last.log_id = c.log_id
  LEFT JOIN noti.notifications_log n ON n.notification_id = last.notification_id
 WHERE c.kind <> 'ok'
 ORDER BY c.tries DESC, c.account, c.kind
 LIMIT 5;
