-- Tables that nobody who is bound by row-level security sees a row of (`hidden`), and logs that have no partition for a
-- line of now (`closed`): no statement of a worker says so.
SELECT 'noti.' || c.relname AS relation, 'hidden' AS fault
  FROM pg_class c
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'noti')
   AND c.relkind IN ('r', 'p') AND c.relrowsecurity AND NOT c.relispartition
   AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
                      -- ours are meant for all tables together
                      AND (noti.isolated() OR p.polname <> ALL ('{tenant_reads,everything}')))
UNION ALL
SELECT 'noti.' || c.relname, 'closed'
  FROM pg_partitioned_table t
  JOIN pg_class c ON c.oid = t.partrelid
 WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'noti')
   AND c.relname IN ('notification_attempts_log', 'audit_log') AND t.partdefid = 0
   AND NOT EXISTS (SELECT FROM noti.log_partitions() p WHERE p.log = c.relname AND p.from_at <= now() AND now() < p.to_at)
 ORDER BY 2, 1;
