-- Prolong the leases of rows in hand; gives the ids that are surely no longer ours.
--
-- A row that somebody else has locked keeps its lease for now and still is ours: the next round extends it.
\set worker_id 1
\set ids 'array[1, 2]'
\set claim_counts 'array[1, 1]'
\set lease '''120 seconds'''
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest(cast(:ids AS bigint[]), cast(:claim_counts AS int[])) AS wanted (id, claim_count)
),
ours AS MATERIALIZED (
    SELECT held.notification_id
      FROM wanted
     CROSS JOIN LATERAL (
           SELECT n.notification_id
             FROM noti.notifications_log n
            WHERE n.notification_id = wanted.id
              AND n.claimed_by = cast(:worker_id AS bigint)
              AND n.claim_count = wanted.claim_count
              AND n.lease_until < now() + cast(:lease AS interval)
              FOR NO KEY UPDATE SKIP LOCKED
           ) AS held
),
extended AS (
    UPDATE noti.notifications_log n
       SET lease_until = now() + cast(:lease AS interval)
     WHERE n.notification_id = ANY (ARRAY(SELECT notification_id FROM ours))
)
SELECT wanted.id
  FROM wanted
  LEFT JOIN LATERAL (
       SELECT true AS yes
         FROM noti.notifications_log n
        WHERE n.notification_id = wanted.id
          AND n.claimed_by = cast(:worker_id AS bigint)
          AND n.claim_count = wanted.claim_count
        LIMIT 1
       ) AS still ON true
 WHERE still.yes IS NULL;
