-- The partitions of the two logs, whether we may make and drop them, and which are wholly older than :age (NULL: none).
\set age '''90 days'''
SELECT p.log, p.partition, p.from_at, p.to_at,
       pg_has_role(c.relowner, 'USAGE') AS ours,
       coalesce(p.to_at <= now() - cast(:age AS interval), false) AS old,
       p.to_at IS NULL AND pg_relation_size(c.oid) > 0 AS stray
  FROM noti.log_partitions() p
  JOIN pg_class c ON c.relnamespace = cast('noti' AS regnamespace) AND c.relname = p.partition;
