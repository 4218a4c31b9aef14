-- The lanes whose oldest due notification has waited longest: how many wait, since when, and why that one still does.
--
-- A loose index scan from tenant to tenant along notifications_log_hot, for at most :lanes lanes of each
-- (channel, priority), then one probe for each; only the :top oldest are counted, each up to :bound. Rows in
-- flight wait no more.
\set channels 'array[''email'', ''webhook'']'
\set priorities 'array[''low'', ''normal'', ''high'', ''urgent'']'
\set lanes 2000
\set top 8
\set bound 10000
WITH oldest AS MATERIALIZED (
    SELECT channel.channel, priority.priority, lane.tenant_id, head.notification_id, head.due_at
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
           SELECT n.notification_id, n.due_at
             FROM noti.notifications_log n
            WHERE n.channel = channel.channel AND n.priority = priority.priority AND n.tenant_id = lane.tenant_id
              AND n.finished_at IS NULL AND n.held_at IS NULL
              AND n.due_at <= now() AND (n.lease_until IS NULL OR n.lease_until < now())
            ORDER BY n.due_at, n.notification_id
            LIMIT 1
           ) AS head
     ORDER BY head.due_at, head.notification_id
     LIMIT cast(:top AS bigint)
)
SELECT oldest.channel, oldest.priority, oldest.tenant_id, due.rows,
       extract(epoch FROM now() - oldest.due_at)::float8 AS oldest_due_seconds,
       oldest.notification_id AS oldest_id,
       (SELECT noti.masked(noti.next_step(noti.facts(n.notification_id)), NULL)
          FROM noti.notifications_log n
         WHERE n.notification_id = oldest.notification_id) AS why
  FROM oldest
 CROSS JOIN LATERAL (
       SELECT count(*) AS rows
         FROM (
              SELECT 1
                FROM noti.notifications_log n
               WHERE n.channel = oldest.channel AND n.priority = oldest.priority AND n.tenant_id = oldest.tenant_id
                 AND n.finished_at IS NULL AND n.held_at IS NULL
                 AND n.due_at <= now() AND (n.lease_until IS NULL OR n.lease_until < now())
               LIMIT cast(:bound AS bigint)
              ) AS row
       ) AS due
 ORDER BY oldest.due_at, oldest.notification_id;
