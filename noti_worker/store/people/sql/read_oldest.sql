-- How long the oldest due notification of each (channel, priority) has waited, in seconds; rows in flight wait no more,
-- and those that are not sent now do not count (the closed things are written as in read_depth.sql).
--
-- A loose index scan from tenant to tenant along notifications_log_hot, then one probe for each lane, for at most
-- :lanes lanes of each (channel, priority). A probe looks behind at most :bound rows that are kept back. Tenants are
-- ordered together with the rest of the key: another index begins with the tenant, too, and a fresh table has no
-- statistics that speak against it.
\set channels 'array[''email'', ''webhook'']'
\set priorities 'array[''low'', ''normal'', ''high'', ''urgent'']'
\set lanes 2000
\set bound 10000
\set closed_channels 'array[''webhook'']'
\set closed_tenants 'array[]::text[]'
\set closed_lanes 'array[]::text[]'
\set closed_templates 'array[]::text[]'
\set closed_providers 'array[''email'' || chr(31) || chr(31) || ''relay'']'
SELECT channel, priority, extract(epoch FROM now() - min(head.due_at))::float8 AS seconds
  FROM unnest(cast(:channels AS text[])) AS channel
 CROSS JOIN unnest(cast(:priorities AS text[])) AS priority
 CROSS JOIN LATERAL (
       WITH RECURSIVE lane AS (
           (SELECT n.tenant_id
              FROM noti.notifications_log n
             WHERE n.channel = channel.channel AND n.priority = priority.priority
               AND n.finished_at IS NULL AND n.held_at IS NULL
             ORDER BY n.tenant_id, n.due_at, n.notification_id
             LIMIT 1)
           UNION ALL
           SELECT following.tenant_id
             FROM lane
            CROSS JOIN LATERAL (
                  SELECT n.tenant_id
                    FROM noti.notifications_log n
                   WHERE n.channel = channel.channel AND n.priority = priority.priority
                     AND n.tenant_id > lane.tenant_id
                     AND n.finished_at IS NULL AND n.held_at IS NULL
                   ORDER BY n.tenant_id, n.due_at, n.notification_id
                   LIMIT 1
                  ) AS following
       )
       SELECT tenant_id FROM lane LIMIT cast(:lanes AS bigint)
       ) AS lane
 CROSS JOIN LATERAL (
       SELECT row.due_at
         FROM (
              SELECT n.due_at, n.notification_id, n.template_id, n.provider
                FROM noti.notifications_log n
               WHERE n.channel = channel.channel AND n.priority = priority.priority AND n.tenant_id = lane.tenant_id
                 AND n.finished_at IS NULL AND n.held_at IS NULL
                 AND n.due_at <= now() AND (n.lease_until IS NULL OR n.lease_until < now())
               ORDER BY n.due_at, n.notification_id
               LIMIT cast(:bound AS bigint)
              ) AS row
        WHERE (row.template_id IS NULL
               OR NOT ARRAY[chr(31) || row.template_id, lane.tenant_id || chr(31) || row.template_id] COLLATE "C"
                      && cast(:closed_templates AS text[]))
          AND (row.provider IS NULL
               OR NOT ARRAY[channel.channel || chr(31) || chr(31) || row.provider,
                            channel.channel || chr(31) || lane.tenant_id || chr(31) || row.provider] COLLATE "C"
                      && cast(:closed_providers AS text[]))
        ORDER BY row.due_at, row.notification_id
        LIMIT 1
       ) AS head
 WHERE channel.channel <> ALL (cast(:closed_channels AS text[]))
   AND lane.tenant_id <> ALL (cast(:closed_tenants AS text[]))
   AND lane.tenant_id || chr(31) || channel.channel <> ALL (cast(:closed_lanes AS text[]))
 GROUP BY 1, 2;
