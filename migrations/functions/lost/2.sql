-- Whether a claim has no owner any more: its worker's heart stopped. Of a worker that the register does not know its lease tells. One
-- that lives keeps a row also after its lease, as when an application holds it locked; others take it only another lease later.
CREATE OR REPLACE FUNCTION noti.lost(n noti.notifications_log) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT n.claimed_by IS NOT NULL
     AND NOT EXISTS (SELECT FROM noti.living l WHERE l.worker_id = n.claimed_by)
     AND (n.lease_until < clock_timestamp() OR EXISTS (SELECT FROM noti.registered() w WHERE w.worker_id = n.claimed_by))
$$;
