-- How the newest tries ended within :span, and how many seconds that is: with more than :bound tries it is less. And what
-- was written off meanwhile without a try.
--
-- Backwards along the primary keys, so that it costs the same however long the logs are.
\set span '''5 minutes'''
\set bound 20000
WITH newest AS MATERIALIZED (
    SELECT t.status, t.created_at
      FROM noti.notification_attempts_log t
     WHERE t.created_at >= now() - cast(:span AS interval)
     ORDER BY t.created_at DESC, t.log_id DESC
     LIMIT cast(:bound AS bigint)
),
counted AS (
    SELECT count(*) FILTER (WHERE n.status = 'sent') AS sent,
           count(*) FILTER (WHERE n.status = 'retrying') AS retried,
           count(*) FILTER (WHERE n.status = 'failed') AS failed,
           count(*) FILTER (WHERE n.status NOT IN ('sent', 'retrying', 'failed')) AS other,
           CASE WHEN count(*) >= cast(:bound AS bigint)
                THEN least(extract(epoch FROM cast(:span AS interval)),
                           greatest(extract(epoch FROM clock_timestamp() - min(n.created_at)), 0.001))
                ELSE extract(epoch FROM cast(:span AS interval))
           END::float8 AS seconds
      FROM newest AS n
)
SELECT c.sent, c.retried, c.failed, c.other, c.seconds,
       (SELECT count(*)
          FROM (
               SELECT a.action, a.action_by_type, a.metadata
                 FROM noti.audit_log a
                WHERE a.created_at >= now() - c.seconds * interval '1 second'
                ORDER BY a.created_at DESC, a.audit_id DESC
                LIMIT cast(:bound AS bigint)
               ) AS line
         WHERE line.action IN ('notification_failed', 'notification_expired', 'notification_suppressed')
           AND line.action_by_type = 'worker' AND NOT line.metadata ? 'attempt') AS untried
  FROM counted AS c;
