-- What waits for a person, by channel, status and reason; the most frequent first, up to :bound rows looked at.
\set bound 100000
SELECT row.channel, row.status, row.reason, count(*) AS rows
  FROM (
       SELECT n.channel, n.status, coalesce(n.error_message, '') AS reason
         FROM noti.notifications_log n
        WHERE n.held_at IS NOT NULL
        LIMIT cast(:bound AS bigint)
       ) AS row
 GROUP BY 1, 2, 3
 ORDER BY 4 DESC, 1, 2, 3
 LIMIT 5;
