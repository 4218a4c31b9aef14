-- The routes that workers have told, which a standby has nothing of: they are unlogged, as the register is.
CREATE OR REPLACE FUNCTION noti.registered_routes() RETURNS SETOF noti.worker_routes
  LANGUAGE plpgsql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT pg_is_in_recovery() THEN
    RETURN QUERY SELECT r.* FROM noti.worker_routes r;
  END IF;
END $$;
