-- Say that this worker lives; learn whether its row is known and whose heart stopped.
--
-- A worker that is missing from the (unlogged) register is not dead: its leases decide.
\set worker_id 1
\set state '''{}'''
WITH own AS (
    UPDATE noti.workers
       SET heartbeat = clock_timestamp(), state = cast(:state AS jsonb)
     WHERE worker_id = cast(:worker_id AS bigint)
    RETURNING worker_id
)
SELECT EXISTS (SELECT FROM own) AS known,
       ARRAY(SELECT w.worker_id
               FROM noti.workers w
              WHERE NOT EXISTS (SELECT FROM noti.living l WHERE l.worker_id = w.worker_id)
                AND w.worker_id <> cast(:worker_id AS bigint)) AS dead,
       clock_timestamp() AS now;
