-- Forget workers that were not heard of for :after; a worker that is unknown is not dead, its leases decide.
\set after '''1 day'''
DELETE FROM noti.workers WHERE heartbeat < now() - cast(:after AS interval) RETURNING worker_id;
