-- BEFORE INSERT of a row without max_retries: the channel's setting counts. Workers of the version before read 3.
CREATE OR REPLACE FUNCTION noti.on_unsaid_retries() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  NEW.max_retries := 3;
  NEW.retries_said := false;
  RETURN NEW;
END $$;
