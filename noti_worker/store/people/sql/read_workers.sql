-- The workers in the register, the longest running first; what a worker says of itself stands in `state`,
-- in `modes` how far messages go through those accounts that do not send live.
SELECT w.worker_id, w.host, w.pid, w.version, w.started_at,
       extract(epoch FROM clock_timestamp() - w.heartbeat)::float8 AS heartbeat_seconds,
       extract(epoch FROM clock_timestamp() - w.started_at)::float8 AS up_seconds,
       EXISTS (SELECT FROM noti.living l WHERE l.worker_id = w.worker_id) AS alive,
       coalesce(w.state, '{}') AS state,
       (SELECT coalesce(jsonb_object_agg(r.account, r.mode), '{}')
          FROM noti.worker_routes r
         WHERE r.worker_id = w.worker_id AND r.mode <> 'live') AS modes
  FROM noti.workers w
 ORDER BY w.worker_id
 LIMIT 1000;
