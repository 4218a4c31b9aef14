-- Look at the next :limit notifications of one tenant after a position, the oldest first; give those that are past its own age.
--
-- Along notifications_log_created: what was made within the age cannot have ended before it, so that this ends the walk.
\set tenant '''acme'''
\set age '''30 days'''
\set after_at '''1970-01-01 00:00+00'''
\set after_id 0
\set limit 500
SELECT count(*) AS seen,
       coalesce(array_agg(row.notification_id) FILTER (WHERE row.old), '{}') AS ids,
       coalesce(array_agg(row.status) FILTER (WHERE row.old), '{}') AS kinds,
       max(row.created_at) AS last_at,
       (array_agg(row.notification_id ORDER BY row.created_at DESC, row.notification_id DESC))[1] AS last_id
  FROM (
       SELECT n.notification_id, n.status, n.created_at, coalesce(n.finished_at < now() - cast(:age AS interval), false) AS old
         FROM noti.notifications_log n
        WHERE n.tenant_id = cast(:tenant AS text)
          AND n.created_at >= cast(:after_at AS timestamptz)
          AND (n.created_at, n.notification_id) > (cast(:after_at AS timestamptz), cast(:after_id AS bigint))
          AND n.created_at < now() - cast(:age AS interval)
        ORDER BY n.created_at, n.notification_id
        LIMIT cast(:limit AS bigint)
       ) AS row;
