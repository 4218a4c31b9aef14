-- BEFORE UPDATE: whoever has another address is reached there again, and nobody has verified it yet. Unless the same UPDATE says so.
CREATE OR REPLACE FUNCTION noti.on_contact() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF noti.address_hash(NEW.channel, NEW.address) IS DISTINCT FROM OLD.address_hash THEN
    IF NEW.left_at IS NOT DISTINCT FROM OLD.left_at THEN
      NEW.left_at := NULL;
      NEW.left_because := NULL;
    END IF;
    IF NEW.verified_at IS NOT DISTINCT FROM OLD.verified_at THEN
      NEW.verified_at := NULL;
    END IF;
  END IF;
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END $$;
