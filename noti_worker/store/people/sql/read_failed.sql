-- How many notifications of each channel failed within :span, counted up to :bound in all.
\set span '''1 hour'''
\set bound 100000
SELECT row.channel, count(*) AS rows
  FROM (
       SELECT n.channel
         FROM noti.notifications_log n
        WHERE n.failed_at >= now() - cast(:span AS interval)
        LIMIT cast(:bound AS bigint)
       ) AS row
 GROUP BY 1;
