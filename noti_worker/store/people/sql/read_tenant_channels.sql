-- What one tenant has, by channel: due, in flight, to come and held, each counted up to :bound; and what failed within the hour,
-- among the :bound newest failures of all.
\set tenant '''default'''
\set channels 'array[''email'', ''sms'']'
\set priorities 'array[''urgent'', ''high'', ''normal'', ''low'']'
\set bound 10000
WITH waiting AS (
    SELECT c.channel, count(*) AS rows, count(*) FILTER (WHERE row.claimed) AS in_flight,
           count(*) FILTER (WHERE NOT row.claimed AND row.due_at <= now()) AS due,
           count(*) FILTER (WHERE NOT row.claimed AND row.due_at > now()) AS scheduled,
           min(row.due_at) FILTER (WHERE NOT row.claimed AND row.due_at <= now()) AS oldest_at
      FROM unnest(cast(:channels AS text[])) AS c (channel)
     CROSS JOIN LATERAL (
           SELECT each.* FROM unnest(cast(:priorities AS text[])) AS p (priority)
            CROSS JOIN LATERAL (
                  SELECT n.claimed_by IS NOT NULL AS claimed, n.due_at
                    FROM noti.notifications_log n
                   WHERE n.channel = c.channel AND n.priority = p.priority AND n.tenant_id = cast(:tenant AS text)
                     AND n.finished_at IS NULL AND n.held_at IS NULL
                   ORDER BY n.due_at
                   LIMIT cast(:bound AS bigint)) AS each
            LIMIT cast(:bound AS bigint)) AS row
     GROUP BY c.channel
), held AS (
    SELECT h.channel, count(*) AS rows
      FROM (SELECT n.channel FROM noti.notifications_log n WHERE n.held_at IS NOT NULL AND n.status <> 'gathering' AND n.tenant_id = cast(:tenant AS text)
             LIMIT cast(:bound AS bigint)) AS h
     GROUP BY h.channel
), failed AS (
    SELECT f.channel, count(*) AS rows
      FROM (SELECT n.channel, n.tenant_id FROM noti.notifications_log n
             WHERE n.failed_at > now() - interval '1 hour' ORDER BY n.failed_at DESC LIMIT cast(:bound AS bigint)) AS f
     WHERE f.tenant_id = cast(:tenant AS text)
     GROUP BY f.channel
)
SELECT c.channel, coalesce(w.due, 0) AS due, coalesce(w.in_flight, 0) AS in_flight, coalesce(w.scheduled, 0) AS scheduled,
       coalesce(h.rows, 0) AS held, coalesce(f.rows, 0) AS failed_last_hour,
       coalesce(w.rows >= cast(:bound AS bigint) OR h.rows >= cast(:bound AS bigint), false) AS bounded,
       cast(extract(epoch FROM now() - w.oldest_at) AS float8) AS oldest_due_seconds,
       oldest.notification_id AS oldest_id, noti.masked(noti.next_step(noti.facts(oldest.notification_id)), NULL) AS why
  FROM unnest(cast(:channels AS text[])) AS c (channel)
  LEFT JOIN waiting w ON w.channel = c.channel
  LEFT JOIN held h ON h.channel = c.channel
  LEFT JOIN failed f ON f.channel = c.channel
  LEFT JOIN LATERAL (
       SELECT n.notification_id FROM noti.notifications_log n
        WHERE n.channel = c.channel AND n.priority = ANY (cast(:priorities AS text[])) AND n.tenant_id = cast(:tenant AS text)
          AND n.finished_at IS NULL AND n.held_at IS NULL AND n.claimed_by IS NULL AND n.due_at = w.oldest_at
        LIMIT 1) AS oldest ON true
 WHERE num_nonnulls(w.rows, h.rows, f.rows) > 0
 ORDER BY c.channel;
