-- What a send window says: the days (1 is Monday) and the times of `weekdays 9-18`, `mon-fri 09:00-18:00`, `daily 8-20` or
-- `sat,sun 10-16`. All are NULL when it cannot be read. It may end at 24, and does not go over midnight.
CREATE OR REPLACE FUNCTION noti.window_parts(send_window text, OUT days int[], OUT since time, OUT until time)
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  names constant text[] := '{mon,tue,wed,thu,fri,sat,sun}';
  said  text[] := regexp_match(lower(send_window),
    '^[[:space:]]*([a-z]+(?:[[:space:]]*[,-][[:space:]]*[a-z]+)*)[[:space:]]+([01]?[0-9]|2[0-3])(:[0-5][0-9])?[[:space:]]*-[[:space:]]*(?:([01]?[0-9]|2[0-3])(:[0-5][0-9])?|24(?::00)?)[[:space:]]*$');
  part  text;
  first int;
  last  int;
BEGIN
  IF said IS NULL OR octet_length(send_window) > 128 THEN
    RETURN;
  END IF;
  FOREACH part IN ARRAY string_to_array(CASE said[1] WHEN 'daily' THEN 'mon-sun' WHEN 'weekdays' THEN 'mon-fri' WHEN 'weekends' THEN 'sat-sun'
                                             ELSE regexp_replace(said[1], '[[:space:]]', '', 'g') END, ',') LOOP
    first := array_position(names, split_part(part, '-', 1));
    last := CASE WHEN strpos(part, '-') = 0 THEN first ELSE array_position(names, split_part(part, '-', 2)) END;
    IF first IS NULL OR last IS NULL OR split_part(part, '-', 3) <> '' THEN
      days := NULL;
      RETURN;
    END IF;
    WHILE true LOOP
      days := days || first;
      EXIT WHEN first = last;
      first := first % 7 + 1;
    END LOOP;
  END LOOP;
  since := (said[2] || coalesce(said[3], ':00'))::time;
  until := CASE WHEN said[4] IS NULL THEN time '24:00' ELSE (said[4] || coalesce(said[5], ':00'))::time END;
  IF since >= until THEN
    days := NULL; since := NULL; until := NULL;
  END IF;
END $$;
