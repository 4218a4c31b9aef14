-- Rows that gather although the window of their digest is over since :since, up to :bound.
\set since '''10 minutes'''
\set bound 100000
SELECT count(*) AS rows, min(row.notification_id) AS example_id, cast(extract(epoch FROM now() - min(row.due_at)) AS float8) AS seconds
  FROM (
       SELECT n.notification_id, n.due_at
         FROM noti.notifications_log n
        WHERE n.digest_key IS NOT NULL AND n.finished_at IS NULL AND n.held_at IS NOT NULL AND n.status = 'gathering'
          AND n.due_at < now() - cast(:since AS interval)
        LIMIT cast(:bound AS bigint)
       ) AS row
HAVING count(*) > 0;
