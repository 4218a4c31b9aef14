-- When the clock of a place shows a time of day next, like '08:00' or 'mon 08:00': once a day, by the date. A time that is left out
-- in spring comes as much later; one that comes twice in autumn counts the second time.
CREATE OR REPLACE FUNCTION noti.next_local(at text, zone text, since timestamptz) RETURNS timestamptz
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT min(d.instant)
    FROM (SELECT ((since AT TIME ZONE zone)::date + i + right(at, 5)::time) AT TIME ZONE zone AS instant,
                 lower(to_char((since AT TIME ZONE zone)::date + i, 'Dy')) AS weekday
            FROM generate_series(-1, 8) AS i) AS d
   WHERE d.instant > since AND (length(at) = 5 OR d.weekday = left(at, 3))
$$;
