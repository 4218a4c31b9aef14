-- A text in which somebody is not named any more. ***= takes the rest as it stands; no backslash: applications may set
-- standard_conforming_strings = off.
CREATE OR REPLACE FUNCTION noti.unnamed(words text, who text) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN strpos(lower(words), lower(who)) > 0 AND length(who) >= 3
              THEN regexp_replace(words, '***=' || who, '[erased]', 'gi') ELSE words END
$$;
