-- An unknown time zone in one profile must not stop a batch: it is refused when it is written.
CREATE OR REPLACE FUNCTION noti.on_zone() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  BEGIN
    PERFORM clock_timestamp() AT TIME ZONE NEW.zone;
    IF strpos(NEW.zone, '/') > 0 OR NEW.zone = 'UTC' THEN  -- EST5, +3 and the like are no places
      RETURN NEW;
    END IF;
  EXCEPTION WHEN invalid_parameter_value OR data_exception THEN
    NULL;
  END;
  RAISE EXCEPTION 'noti: the time zone % is not known. Give a name like Europe/Berlin, or UTC.', quote_literal(left(NEW.zone, 100))
    USING ERRCODE = 'check_violation';
END $$;
