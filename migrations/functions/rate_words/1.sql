-- A rate, tokens a second, for people.
CREATE OR REPLACE FUNCTION noti.rate_words(rate float8) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN rate >= 1 THEN trim(trailing '.' FROM to_char(rate, 'FM999999990.9')) || ' a second'
              ELSE 'one every ' || trim(trailing '.' FROM to_char(1 / rate, 'FM999999990.9')) || ' s' END
$$;
