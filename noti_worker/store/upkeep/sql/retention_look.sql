-- Look at the next :limit finished notifications after a position, the oldest first; give those that are past their age.
--
-- Along notifications_log_finished. What is looked at is bounded, not what is found: between two rows to delete there
-- may be a million of another status that are kept for longer. Nothing is locked. The youngest age ends the walk.
-- Of :tenants nothing: they have ages of their own.
\set statuses 'array[''sent'', ''failed'']'
\set ages 'array[''30 days'', ''365 days'']'
\set youngest '''30 days'''
\set after_at '''1970-01-01 00:00+00'''
\set after_id 0
\set tenants 'array[''acme'']'
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.notification_id) FILTER (WHERE kept.age IS NOT NULL), '{}') AS ids,
       coalesce(array_agg(row.status) FILTER (WHERE kept.age IS NOT NULL), '{}') AS kinds,
       max(row.finished_at) AS last_at,
       (array_agg(row.notification_id ORDER BY row.finished_at DESC, row.notification_id DESC))[1] AS last_id
  FROM (
       SELECT n.notification_id, n.status, n.finished_at, n.tenant_id
         FROM noti.notifications_log n
        WHERE n.finished_at >= cast(:after_at AS timestamptz)
          AND (n.finished_at, n.notification_id) > (cast(:after_at AS timestamptz), cast(:after_id AS bigint))
          AND n.finished_at < now() - cast(:youngest AS interval)
        ORDER BY n.finished_at, n.notification_id
        LIMIT cast(:limit AS bigint)
       ) AS row
  LEFT JOIN LATERAL (
       SELECT kept.age
         FROM unnest(cast(:statuses AS text[]), cast(:ages AS interval[])) AS kept (status, age)
        WHERE kept.status = row.status AND row.finished_at < now() - kept.age
          AND row.tenant_id <> ALL (cast(:tenants AS text[]))
       ) AS kept ON true;
