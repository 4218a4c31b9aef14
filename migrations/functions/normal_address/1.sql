-- An address in the one writing in which addresses are compared; NULL for what can be none. E-mail without display name and
-- capitals, the domain as DNS knows it; a phone number as + and digits; everything else as it is.
CREATE OR REPLACE FUNCTION noti.normal_address(channel text, address text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  bare text;
BEGIN
  IF channel = 'email' THEN
    IF address COLLATE "C" ~ '^[a-z0-9._+-]+@[a-z0-9.-]+$' THEN  -- most are
      RETURN address;
    END IF;
    bare := noti.address(address);
    IF octet_length(bare) <> char_length(bare) THEN
      bare := substring(bare FROM '^(.*@)[^@]*$') || noti.ascii_domain(substring(address FROM '@([^@<>[:space:]]*)>?[[:space:]]*$'));
    END IF;
    RETURN CASE WHEN bare COLLATE "C" ~ '^[^@[:space:]]+@[^@[:space:]]+$' THEN bare END;
  ELSIF channel IN ('sms', 'voice', 'whatsapp') THEN
    -- providers write 0049…, 49…, whatsapp:+49…
    bare := regexp_replace(regexp_replace(address, '^(whatsapp:)?[[:space:]]*([+]|00)?', ''), '[-[:space:]()./]', '', 'g');
    RETURN CASE WHEN bare COLLATE "C" ~ '^[1-9][0-9]{3,14}$' THEN '+' || bare END;
  END IF;
  RETURN nullif(btrim(address), '');
END $$;
