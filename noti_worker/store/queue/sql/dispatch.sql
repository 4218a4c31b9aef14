-- Mark a row as about to be sent; no row comes back when it is no longer ours.
--
-- An earlier, lost claim may have left its mark: that one stays.
\set worker_id 1
\set id 1
\set claim_count 1
WITH marked AS (
    UPDATE noti.notifications_log n
       SET dispatched_at = now()
     WHERE n.notification_id = cast(:id AS bigint)
       AND n.claimed_by = cast(:worker_id AS bigint)
       AND n.claim_count = cast(:claim_count AS int)
       AND n.dispatched_at IS NULL
    RETURNING n.notification_id
)
SELECT notification_id FROM marked
UNION ALL
SELECT n.notification_id
  FROM noti.notifications_log n
 WHERE n.notification_id = cast(:id AS bigint)
   AND n.claimed_by = cast(:worker_id AS bigint)
   AND n.claim_count = cast(:claim_count AS int)
   AND n.dispatched_at IS NOT NULL;
