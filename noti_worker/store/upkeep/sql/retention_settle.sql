-- Give the lines in the default partition of a log months of their own, if these are free.
\set log '''audit_log'''
SELECT noti.settle_default_partition(cast(:log AS text)) AS made;
