-- Whether a claim has no owner any more: its lease ran out, or its worker's heart stopped. A worker that the register does not know
-- is not dead, its lease decides.
CREATE OR REPLACE FUNCTION noti.lost(n noti.notifications_log) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT n.claimed_by IS NOT NULL
     AND (n.lease_until < clock_timestamp()
          OR EXISTS (SELECT FROM noti.registered() w WHERE w.worker_id = n.claimed_by)
             AND NOT EXISTS (SELECT FROM noti.living l WHERE l.worker_id = n.claimed_by))
$$;
