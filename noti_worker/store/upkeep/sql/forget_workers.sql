-- Forget workers that were not heard of for :after; a worker that is unknown is not dead, its leases decide.
-- The routes of whoever is not in the register go too; whoever enters it again writes them again. So do buckets that nobody takes from
-- any more, and quotas whose day or month is over.
\set after '''1 day'''
WITH routes AS (
    DELETE FROM noti.worker_routes r
     WHERE NOT EXISTS (SELECT FROM noti.workers w
                        WHERE w.worker_id = r.worker_id AND w.heartbeat >= now() - cast(:after AS interval))
),
buckets AS (
    DELETE FROM noti.buckets b WHERE b.filled_at < now() - cast(:after AS interval)
),
spent AS (
    DELETE FROM noti.spent s WHERE s.until < now() - cast(:after AS interval)
)
DELETE FROM noti.workers WHERE heartbeat < now() - cast(:after AS interval) RETURNING worker_id;
