-- Whom a text that is one address means: without display name and capitals. What is no address is itself, without capitals.
CREATE OR REPLACE FUNCTION noti.address(written text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN octet_length(bare.v) = char_length(bare.v) THEN lower(bare.v COLLATE "C")
              -- a domain may be written in wide letters, and is the same one
              ELSE noti.folded(regexp_replace(bare.v, '[^@]*$', '')) || noti.folded(normalize(substring(bare.v FROM '[^@]*$'), NFKC)) END
    FROM (SELECT btrim(coalesce(substring(written FROM '<([^<>]*@[^<>]*)>[[:space:]]*$'), written), concat(' ', chr(9), chr(10), chr(13))) AS v) AS bare
$$;
