-- Give back rows that were not started, with no try charged; gives what became of each.
--
-- A cancel or hold that was asked for meanwhile is carried out here, with its audit line. Losses of
-- earlier claims stay counted.
--
-- fate: released; busy (locked by somebody else: try it again); stale (no longer ours).
\set worker_id 1
\set ids 'array[1, 2]'
\set claim_counts 'array[1, 1]'
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(cast(:ids AS bigint[]), cast(:claim_counts AS int[])) AS wanted (id, claim_count)
),
ours AS MATERIALIZED (
    SELECT locked.*
      FROM wanted
     CROSS JOIN LATERAL (
           SELECT n.notification_id, n.tenant_id, n.requested
             FROM noti.notifications_log n
            WHERE n.notification_id = wanted.id
              AND n.claimed_by = cast(:worker_id AS bigint)
              AND n.claim_count = wanted.claim_count
              FOR NO KEY UPDATE SKIP LOCKED
           ) AS locked
),
audit AS (
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    SELECT tenant_id, 'notification', notification_id::text, 'notification_' || requested,
           'worker', 'worker ' || cast(cast(:worker_id AS bigint) AS text),
           jsonb_build_object('reason', 'asked for while a worker had it in hand, and not started')
      FROM ours
     WHERE requested IS NOT NULL
),
released AS (
    UPDATE noti.notifications_log n
       SET status = coalesce(n.requested, CASE WHEN n.next_retry_at IS NULL THEN 'pending' ELSE 'retrying' END),
           finished_at = CASE WHEN n.requested = 'cancelled' THEN now() END,
           held_at = CASE WHEN n.requested = 'held' THEN now() END,
           claimed_by = NULL,
           lease_until = NULL,
           dispatched_at = NULL,
           requested = NULL,
           updated_at = now()
     WHERE n.notification_id = ANY (ARRAY(SELECT notification_id FROM ours))
    RETURNING n.notification_id
)
SELECT wanted.id, wanted.claim_count,
       CASE WHEN released.notification_id IS NOT NULL THEN 'released'
            WHEN still.yes THEN 'busy'
            ELSE 'stale' END AS fate
  FROM wanted
  LEFT JOIN released ON released.notification_id = wanted.id
  LEFT JOIN LATERAL (
       SELECT true AS yes
         FROM noti.notifications_log n
        WHERE n.notification_id = wanted.id
          AND n.claimed_by = cast(:worker_id AS bigint)
          AND n.claim_count = wanted.claim_count
        LIMIT 1
       ) AS still ON true;
