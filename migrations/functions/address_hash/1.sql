-- By what an address is known when its owner was erased: SHA-256 of its one writing. NULL for what can be no address.
CREATE OR REPLACE FUNCTION noti.address_hash(channel text, address text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN sha256(convert_to(noti.normal_address(channel, address), 'UTF8'));
END $$;
