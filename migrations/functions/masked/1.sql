-- Words without addresses: providers like to repeat the recipient in their answers, and a URL may be a secret.
-- No backslash: applications may set standard_conforming_strings = off.
CREATE OR REPLACE FUNCTION noti.masked(words text, recipient text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT regexp_replace(
    CASE WHEN length(recipient) >= 3 THEN replace(words, recipient, '…') ELSE words END,
    '[^][:space:]<>()[,;:]+@[^][:space:]<>()[,;:]+|[[:<:]]https?://[^[:space:]<>"'']+|[+][[:digit:]][-[:digit:] ()]{5,}[[:digit:]]', '…', 'g')
$$;
