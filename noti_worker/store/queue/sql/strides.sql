-- Where the walk through each lane ends when it passes :rows due rows from its floor on; a lane with fewer is not named.
--
-- For claims that may pass over very many rows to find few. The index holds all that is asked for.
\set channels 'array[''email'', ''email'']'
\set priorities 'array[''urgent'', ''normal'']'
\set tenants 'array[''default'', ''default'']'
\set floors_at 'array[''1970-01-01 00:00+00'', ''1970-01-01 00:00+00'']'
\set floors_id 'array[0, 0]'
\set rows 10000
SELECT lane.channel, lane.priority, lane.tenant_id, stop.due_at, stop.notification_id
  FROM unnest(
           cast(:channels AS text[]), cast(:priorities AS text[]), cast(:tenants AS text[]),
           cast(:floors_at AS timestamptz[]), cast(:floors_id AS bigint[])
       ) AS lane (channel, priority, tenant_id, floor_at, floor_id)
 CROSS JOIN LATERAL (
       SELECT n.due_at, n.notification_id
         FROM noti.notifications_log n
        WHERE n.channel = lane.channel
          AND n.priority = lane.priority
          AND n.tenant_id = lane.tenant_id
          AND n.finished_at IS NULL
          AND n.held_at IS NULL
          AND n.due_at <= now()
          AND (n.due_at, n.notification_id) >= (lane.floor_at, lane.floor_id)
        ORDER BY n.due_at, n.notification_id
       OFFSET cast(:rows AS bigint)
        LIMIT 1
       ) AS stop;
