-- The accounts of the channels of all living workers, with their providers and modes. Workers of the version before
-- tell them with their heartbeat (see `state` in read_workers).
\set within '''15 seconds'''
SELECT r.worker_id, r.channel, r.account, r.provider, r.mode
  FROM noti.worker_routes r
  JOIN noti.workers w USING (worker_id)
 WHERE w.heartbeat > clock_timestamp() - cast(:within AS interval)
 ORDER BY r.worker_id, r.channel, r.position;
