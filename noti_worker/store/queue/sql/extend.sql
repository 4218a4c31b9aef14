-- Prolong the leases of rows in hand; gives the ids that were not, and why.
--
-- fate: gone (surely no longer ours); busy (locked by somebody else: still ours, but its lease ends as before).
\set worker_id 1
\set ids 'array[1, 2]'
\set claim_counts 'array[1, 1]'
\set lease '''120 seconds'''
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(cast(:ids AS bigint[]), cast(:claim_counts AS int[])) AS wanted (id, claim_count)
),
ours AS MATERIALIZED (
    SELECT locked.notification_id
      FROM wanted
     CROSS JOIN LATERAL (
           SELECT n.notification_id
             FROM noti.notifications_log n
            WHERE n.notification_id = wanted.id
              AND n.claimed_by = cast(:worker_id AS bigint)
              AND n.claim_count = wanted.claim_count
              AND n.lease_until < now() + cast(:lease AS interval)
              FOR NO KEY UPDATE SKIP LOCKED
           ) AS locked
),
extended AS (
    UPDATE noti.notifications_log n
       SET lease_until = now() + cast(:lease AS interval)
     WHERE n.notification_id = ANY (ARRAY(SELECT notification_id FROM ours))
)
SELECT wanted.id, wanted.claim_count, CASE WHEN still.lease_until IS NULL THEN 'gone' ELSE 'busy' END AS fate
  FROM wanted
  LEFT JOIN ours ON ours.notification_id = wanted.id
  LEFT JOIN LATERAL (
       SELECT n.lease_until
         FROM noti.notifications_log n
        WHERE n.notification_id = wanted.id
          AND n.claimed_by = cast(:worker_id AS bigint)
          AND n.claim_count = wanted.claim_count
        LIMIT 1
       ) AS still ON true
 WHERE ours.notification_id IS NULL
   AND coalesce(still.lease_until < now() + cast(:lease AS interval), true);
