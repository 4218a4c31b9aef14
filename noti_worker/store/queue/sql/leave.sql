-- Leave the register of living workers.
\set worker_id 1
DELETE FROM noti.workers WHERE worker_id = cast(:worker_id AS bigint);
