-- What a provider said, without addresses: providers like to repeat the recipient in their answers, and a URL may be a secret.
-- The recipient is masked where it stands as a whole: 2026 is not in 2026-11-30. A number is known without its + or with 00
-- instead, and with blanks in it; @name and #room without their sign. Our own words need no mask.
-- No backslash: applications may set standard_conforming_strings = off.
CREATE OR REPLACE FUNCTION noti.masked(words text, recipient text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN recipient <> '[erased]' THEN
           noti.unnamed(noti.unnamed(
             CASE WHEN recipient ~ '^[-+]?[0-9]([-. ()]*[0-9]){4,}$' THEN
                    regexp_replace(shown.v, concat('(?<![0-9])([-+]|00)?', array_to_string(regexp_split_to_array(regexp_replace(recipient, '[^0-9]', '', 'g'), ''), '[-. ()]*'), '(?![0-9])'), '…', 'g')
                  ELSE shown.v END,
             recipient, false, '…'),
             CASE WHEN recipient ~ '^[@#]' THEN substr(recipient, 2) END, false, '…')
         ELSE shown.v END
    FROM (SELECT regexp_replace(words,
      '[^][:space:]<>()[,;:]+(@|%40)[^][:space:]<>()[,;:]+|[[:<:]]https?://[^[:space:]<>"'']+|[+][[:digit:]][-[:digit:] ()]{5,}[[:digit:]]', '…', 'g')) AS shown (v)
$$;
