-- What waits for a person, by channel, status and reason; the most frequent first, up to :bound rows looked at.
\set bound 100000
SELECT row.channel, row.status, noti.masked(row.reason, min(row.recipient)) AS reason, count(*) AS rows
  FROM (
       SELECT n.channel, n.status, coalesce(n.error_message, '') AS reason, n.recipient
         FROM noti.notifications_log n
        WHERE n.held_at IS NOT NULL AND n.status <> 'gathering'
        LIMIT cast(:bound AS bigint)
       ) AS row
 GROUP BY row.channel, row.status, row.reason
 ORDER BY 4 DESC, 1, 2, 3
 LIMIT 5;
