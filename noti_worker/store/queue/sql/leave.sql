-- Leave the register of living workers.
\set worker_id 1
WITH routes AS (
    DELETE FROM noti.worker_routes WHERE worker_id = cast(:worker_id AS bigint)
)
DELETE FROM noti.workers WHERE worker_id = cast(:worker_id AS bigint);
