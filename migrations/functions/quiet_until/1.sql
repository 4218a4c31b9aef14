-- When quiet hours end that `at` is in: the first instant after it at which the clock of the zone shows a time outside of them; NULL when
-- it is outside, when they are none (both times alike, or a whole day), and when the server does not know the zone.
CREATE OR REPLACE FUNCTION noti.quiet_until(zone text, since time, until time, at timestamptz) RETURNS timestamptz
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  here time;
  ends timestamptz;
BEGIN
  IF since IS NULL OR until IS NULL OR since = until THEN
    RETURN NULL;
  END IF;
  here := (at AT TIME ZONE zone)::time;
  IF (CASE WHEN since < until THEN here < since OR here >= until ELSE here < since AND here >= until END) THEN
    RETURN NULL;
  END IF;
  ends := at + CASE WHEN until > here THEN until - here ELSE until - here + interval '24 hours' END;
  IF (ends AT TIME ZONE zone) - (at AT TIME ZONE zone) = ends - at THEN  -- the clock is not changed before
    RETURN ends;
  END IF;
  RETURN noti.clock_shows(zone, '{1,2,3,4,5,6,7}', until, since, at);
EXCEPTION WHEN invalid_parameter_value OR datetime_field_overflow THEN
  RETURN NULL;
END $$;
