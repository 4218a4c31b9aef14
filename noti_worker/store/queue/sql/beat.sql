-- Say that this worker lives; learn whether its row is known, whose heart stopped and whose beats.
--
-- A worker that is missing from the (unlogged) register is not dead: its leases decide.
--
-- Two things that no statement reports: `hidden` tables, of which row-level security shows this role no row (a claim
-- finds nothing, a template seems to be missing), and `closed` logs, which have no partition for a line of now.
\set worker_id 1
\set state '''{}'''
WITH own AS (
    UPDATE noti.workers
       SET heartbeat = clock_timestamp(), state = cast(:state AS jsonb)
     WHERE worker_id = cast(:worker_id AS bigint)
    RETURNING worker_id
)
SELECT EXISTS (SELECT FROM own) AS known,
       ARRAY(SELECT w.worker_id
               FROM noti.workers w
              WHERE NOT EXISTS (SELECT FROM noti.living l WHERE l.worker_id = w.worker_id)
                AND w.worker_id <> cast(:worker_id AS bigint)) AS dead,
       ARRAY(SELECT l.worker_id FROM noti.living l WHERE l.worker_id <> cast(:worker_id AS bigint)) AS living,
       ARRAY(SELECT 'noti.' || c.relname
               FROM pg_class c
              WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'noti')
                AND c.relname IN ('notifications_log', 'notification_attempts_log', 'templates', 'attachments')
                AND c.relrowsecurity AND row_security_active(c.oid)
                AND NOT EXISTS (SELECT
                                  FROM pg_policy p
                                 CROSS JOIN LATERAL unnest(p.polroles) AS role (oid)
                                 WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
                                   AND (role.oid = 0 AND p.polname <> 'tenant_reads' OR role.oid <> 0 AND pg_has_role(role.oid, 'USAGE')))) AS hidden,
       ARRAY(SELECT 'noti.' || c.relname
               FROM pg_partitioned_table t
               JOIN pg_class c ON c.oid = t.partrelid
              WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'noti')
                AND c.relname IN ('notification_attempts_log', 'audit_log') AND t.partdefid = 0
                AND NOT EXISTS (SELECT
                                  FROM noti.log_partitions() p
                                 WHERE p.log = c.relname AND p.from_at <= now() AND now() < p.to_at)) AS closed,
       clock_timestamp() AS now;
