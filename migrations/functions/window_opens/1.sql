-- When a send window opens that is shut at `at`, by the clock of the zone; NULL when it is open, when it cannot be read, and when the
-- server does not know the zone.
CREATE OR REPLACE FUNCTION noti.window_opens(send_window text, zone text, at timestamptz) RETURNS timestamptz
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  w record;
BEGIN
  SELECT p.days, p.since, p.until INTO w FROM noti.window_parts(send_window) AS p;
  IF w.days IS NULL THEN
    RETURN NULL;
  END IF;
  RETURN nullif(noti.clock_shows(zone, w.days, w.since, w.until, at), at);
END $$;
