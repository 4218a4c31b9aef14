-- What keeps a row from being sent now, a row for each cause. What is finished has none; what rests or is being sent has that
-- cause alone, and when its lease is over what keeps its worker from prolonging it. Who goes first is asked only of what nothing
-- else keeps back.
CREATE OR REPLACE FUNCTION noti.obstacles(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH closed AS MATERIALIZED (
    SELECT o.* FROM noti.obstacle_closed(n) AS o
     WHERE n.finished_at IS NULL AND n.held_at IS NULL AND (n.claimed_by IS NULL OR noti.lost(n)))
  SELECT o.* FROM noti.obstacle_parked(n) AS o WHERE n.finished_at IS NULL
  UNION ALL
  SELECT o.* FROM noti.obstacle_in_flight(n) AS o
  UNION ALL
  SELECT late.*
    FROM (
         SELECT o.* FROM noti.obstacle_locked(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_refused(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_unable(n) AS o
         ) AS late
   WHERE n.claimed_by IS NOT NULL AND n.lease_until < clock_timestamp() AND NOT noti.lost(n)
  UNION ALL
  SELECT c.* FROM closed AS c
  UNION ALL
  SELECT waiting.*
    FROM (
         SELECT o.* FROM noti.obstacle_limited(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_lost(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_expired(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_not_due(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_locked(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_refused(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_ahead(n) AS o
          WHERE n.claimed_by IS NULL AND n.due_at <= clock_timestamp() AND NOT EXISTS (SELECT FROM closed)
         UNION ALL
         SELECT o.* FROM noti.obstacle_no_worker(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_unable(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_unserved(n) AS o
         UNION ALL
         SELECT o.* FROM noti.obstacle_safe_mode(n) AS o
         ) AS waiting
   WHERE n.finished_at IS NULL AND n.held_at IS NULL AND (n.claimed_by IS NULL OR noti.lost(n))
$$;
