-- What a provider said, without addresses: providers like to repeat the recipient in their answers, and a URL may be a secret.
-- The recipient is masked where it stands as a whole: 2026 is not in 2026-11-30. Our own words need no mask.
-- No backslash: applications may set standard_conforming_strings = off.
CREATE OR REPLACE FUNCTION noti.masked(words text, recipient text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN recipient <> '[erased]' THEN noti.unnamed(shown.v, recipient, false, '…') ELSE shown.v END
    FROM (SELECT regexp_replace(words,
      '[^][:space:]<>()[,;:]+@[^][:space:]<>()[,;:]+|[[:<:]]https?://[^[:space:]<>"'']+|[+][[:digit:]][-[:digit:] ()]{5,}[[:digit:]]', '…', 'g')) AS shown (v)
$$;
