-- The accounts whose answers call many addresses dead, of the newest :bound tries of a day.
\set span '''1 day'''
\set bound 5000
\set fewest 50
\set share 0.1
SELECT t.account, t.channel, count(*) AS tries, count(*) FILTER (WHERE t.kind = 'dead') AS dead
  FROM (
       SELECT l.account, l.kind, n.channel
         FROM noti.notification_attempts_log l
         JOIN noti.notifications_log n ON n.notification_id = l.notification_id
        WHERE l.created_at > now() - cast(:span AS interval) AND l.account IS NOT NULL
        ORDER BY l.created_at DESC
        LIMIT cast(:bound AS bigint)
       ) AS t
 GROUP BY t.account, t.channel
HAVING count(*) FILTER (WHERE t.kind = 'dead') >= greatest(cast(:fewest AS bigint), cast(:share AS float8) * count(*))
 ORDER BY dead DESC;
