-- Make this month's partitions and those of :ahead further months, where they are missing.
\set ahead 4
SELECT made FROM noti.add_log_partitions(now(), cast(:ahead AS int)) AS made;
