-- Delete the named notifications that still are past their age; gives how many of each status.
--
-- Whoever has locked a row keeps it until the next time, and one that was queued again in between stays.
\set statuses 'array[''sent'', ''failed'']'
\set ages 'array[''30 days'', ''365 days'']'
\set ids 'array[1, 2]'
WITH old AS MATERIALIZED (
    SELECT row.notification_id
      FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
     CROSS JOIN LATERAL (
           SELECT n.notification_id
             FROM noti.notifications_log n
            WHERE n.notification_id = wanted.id
              AND n.finished_at < now() - (
                  SELECT kept.age
                    FROM unnest(cast(:statuses AS text[]), cast(:ages AS interval[])) AS kept (status, age)
                   WHERE kept.status = n.status)
              FOR UPDATE SKIP LOCKED
           ) AS row
),
gone AS (
    DELETE FROM noti.notifications_log n
     WHERE n.notification_id = ANY (ARRAY(SELECT notification_id FROM old))
    RETURNING n.status
)
SELECT status AS kind, count(*) AS rows FROM gone GROUP BY 1;
