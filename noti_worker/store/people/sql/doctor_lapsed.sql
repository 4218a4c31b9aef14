-- Claims whose lease ran out a while ago and that nobody took over, up to :bound of them.
\set since '''1 minute'''
\set bound 100000
SELECT row.channel, count(*) AS rows, extract(epoch FROM now() - min(row.lease_until))::float8 AS seconds
  FROM (
       SELECT n.channel, n.lease_until
         FROM noti.notifications_log n
        WHERE n.finished_at IS NULL AND n.held_at IS NULL AND n.lease_until < now() - cast(:since AS interval)
        LIMIT cast(:bound AS bigint)
       ) AS row
 GROUP BY 1
 ORDER BY 1;
