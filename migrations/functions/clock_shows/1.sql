-- The first instant from `at` on at which the clock of a zone shows a time from `since` to before `until` on one of `days` (1 is
-- Monday); over midnight when `since` is later, and both parts count as of their own day. NULL when it does not within fifteen days, or
-- the server does not know the zone: one profile must not stop a batch.
--
-- Between two changes of the clock its time goes on evenly: so each day is one such piece, or two that are told apart to the second.
CREATE OR REPLACE FUNCTION noti.clock_shows(zone text, days int[], since time, until time, at timestamptz) RETURNS timestamptz
  LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  piece timestamptz := at;
  stop  timestamptz;
  next  timestamptz;
  half  timestamptz;
  here  timestamp := at AT TIME ZONE zone;
  ends  timestamp;
  day   date;
  part  record;
BEGIN
  FOR turn IN 1..15 LOOP
    stop := piece + interval '24 hours';
    WHILE piece < stop LOOP
      here := piece AT TIME ZONE zone;
      next := stop;
      IF (stop AT TIME ZONE zone) - here <> stop - piece THEN
        half := piece;
        WHILE next - half > interval '1 s' LOOP  -- the clock is changed between these two
          at := date_trunc('second', half + (next - half) / 2);
          EXIT WHEN at <= half;
          IF (at AT TIME ZONE zone) - here = at - piece THEN half := at; ELSE next := at; END IF;
        END LOOP;
        next := date_trunc('second', next);
      END IF;
      ends := here + (next - piece);
      FOR day IN SELECT here::date + n FROM generate_series(0, ends::date - here::date) AS n LOOP
        CONTINUE WHEN extract(isodow FROM day)::int <> ALL (days);
        FOR part IN SELECT p.* FROM (VALUES
              (day + CASE WHEN since < until THEN since ELSE time '00:00' END, day + until),
              (day + since, day + CASE WHEN since < until THEN since ELSE time '24:00' END)) AS p (opens, shuts) LOOP
          IF part.opens < part.shuts AND part.shuts > here AND part.opens < ends THEN
            RETURN piece + (greatest(part.opens, here) - here);
          END IF;
        END LOOP;
      END LOOP;
      piece := next;
    END LOOP;
  END LOOP;
  RETURN NULL;
EXCEPTION WHEN invalid_parameter_value OR datetime_field_overflow THEN
  RETURN NULL;
END $$;
