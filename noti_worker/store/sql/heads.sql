-- The lanes that hold unfinished rows, each with the due time of its first row, which may be in flight, and
-- of its first row that is still ahead.
--
-- A loose index scan: for each (channel, priority) jump from tenant to tenant along notifications_log_hot
-- until :window lanes are found. It pulls lane by lane, so thousands of lanes cost no more than a window.
-- `tenants` says after which tenant to begin in each; '' stands before all.
\set channels 'array[''email'', ''email'']'
\set priorities 'array[''normal'', ''urgent'']'
\set tenants 'array[''acme'', '''']'
\set window 200
SELECT start.channel, start.priority, lane.tenant_id, lane.due_at, ahead.due_at AS next_at
  FROM unnest(cast(:channels AS text[]), cast(:priorities AS text[]), cast(:tenants AS text[]))
       AS start (channel, priority, tenant_id)
 CROSS JOIN LATERAL (
       WITH RECURSIVE lane AS (
           (SELECT n.tenant_id, n.due_at
              FROM noti.notifications_log n
             WHERE n.channel = start.channel AND n.priority = start.priority AND n.tenant_id > start.tenant_id
               AND n.finished_at IS NULL AND n.held_at IS NULL
             ORDER BY n.tenant_id, n.due_at, n.notification_id
             LIMIT 1)
           UNION ALL
           SELECT following.tenant_id, following.due_at
             FROM lane
            CROSS JOIN LATERAL (
                  SELECT n.tenant_id, n.due_at
                    FROM noti.notifications_log n
                   WHERE n.channel = start.channel AND n.priority = start.priority AND n.tenant_id > lane.tenant_id
                     AND n.finished_at IS NULL AND n.held_at IS NULL
                   ORDER BY n.tenant_id, n.due_at, n.notification_id
                   LIMIT 1
                  ) AS following
       )
       SELECT * FROM lane
       ) AS lane
  LEFT JOIN LATERAL (
       SELECT n.due_at
         FROM noti.notifications_log n
        WHERE n.channel = start.channel AND n.priority = start.priority AND n.tenant_id = lane.tenant_id
          AND n.finished_at IS NULL AND n.held_at IS NULL AND n.due_at > now()
        ORDER BY n.due_at, n.notification_id
        LIMIT 1
       ) AS ahead ON true
 LIMIT cast(:window AS bigint);
