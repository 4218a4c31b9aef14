-- The register of workers, which a standby has nothing of: it is unlogged, and there even a look at it is an error.
CREATE OR REPLACE FUNCTION noti.registered() RETURNS TABLE (worker_id bigint, heartbeat timestamptz, state jsonb)
  LANGUAGE plpgsql STABLE ROWS 10 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_is_in_recovery() THEN
    RETURN QUERY SELECT w.worker_id, w.heartbeat, w.state FROM noti.workers w;
  END IF;
END $$;
