-- Drop a partition whose every line is older than :age.
\set partition '''audit_log_2020_01'''
\set age '''90 days'''
SELECT noti.drop_log_partition(cast(:partition AS text), now() - cast(:age AS interval)) AS gone;
