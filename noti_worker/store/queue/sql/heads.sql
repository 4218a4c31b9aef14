-- The lanes that hold unfinished rows, each with the due time of its first row, which may be in flight, and
-- of its first row that is still ahead.
--
-- A loose index scan: for each (channel, priority) jump from tenant to tenant along notifications_log_hot
-- until :window lanes are found. It pulls lane by lane, so thousands of lanes cost no more than a window.
-- `tenants` says after which tenant to begin in each; '' stands before all.
--
-- Known lanes are looked at from their floors on, so that dead index entries before them are not walked, and for
-- rows that are not in flight; one without such rows is not found. They stand in the order of the index, those of one (channel, priority)
-- from `firsts` to `lasts`; between two of them the scan stops before the next one, and after the last it goes on to
-- a tenant that stands behind all. With none, every lane is found.
\set channels 'array[''email'', ''email'']'
\set priorities 'array[''normal'', ''urgent'']'
\set tenants 'array[''acme'', '''']'
\set firsts 'array[1, 2]'
\set lasts 'array[1, 1]'
\set known 'array[''default'']'
\set floors_at 'array[''1970-01-01 00:00+00'']'
\set floors_id 'array[0]'
\set window 200
SELECT start.channel, start.priority, lane.tenant_id, lane.due_at, ahead.due_at AS next_at
  FROM unnest(
           cast(:channels AS text[]), cast(:priorities AS text[]), cast(:tenants AS text[]),
           cast(:firsts AS int[]), cast(:lasts AS int[])
       ) AS start (channel, priority, tenant_id, first, last)
 CROSS JOIN LATERAL (
       WITH RECURSIVE lane AS (
           SELECT start.tenant_id COLLATE "C" AS tenant_id, NULL::timestamptz AS due_at, start.first AS turn
           UNION ALL
           SELECT found.tenant_id, found.due_at, lane.turn + found.known
             FROM lane
            CROSS JOIN LATERAL (
                  SELECT CASE WHEN lane.turn <= start.last THEN (cast(:known AS text[]))[lane.turn]
                              ELSE repeat(chr(1114111), 33) END COLLATE "C" AS tenant_id
                  ) AS next
            CROSS JOIN LATERAL (
                  (SELECT n.tenant_id, n.due_at, 0 AS known
                     FROM noti.notifications_log n
                    WHERE n.channel = start.channel AND n.priority = start.priority
                      AND n.tenant_id > lane.tenant_id AND n.tenant_id < next.tenant_id
                      AND n.finished_at IS NULL AND n.held_at IS NULL
                    ORDER BY n.tenant_id, n.due_at, n.notification_id
                    LIMIT 1)
                  UNION ALL
                  (SELECT next.tenant_id, (
                          SELECT n.due_at
                            FROM noti.notifications_log n
                           WHERE n.channel = start.channel AND n.priority = start.priority
                             AND n.tenant_id = next.tenant_id
                             AND n.finished_at IS NULL AND n.held_at IS NULL
                             AND (n.lease_until IS NULL OR n.lease_until < now())
                             AND (n.due_at, n.notification_id)
                                 >= ((cast(:floors_at AS timestamptz[]))[lane.turn], (cast(:floors_id AS bigint[]))[lane.turn])
                           ORDER BY n.due_at, n.notification_id
                           LIMIT 1
                          ), 1
                    WHERE lane.turn <= start.last)
                  LIMIT 1
                  ) AS found
       )
       SELECT tenant_id, due_at FROM lane WHERE due_at IS NOT NULL
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
