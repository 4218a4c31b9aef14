-- Whether a host is one of those, or lies below one that is written *.domain. domain/tenants.py says the same.
CREATE OR REPLACE FUNCTION noti.host_among(host text, allowed text[]) RETURNS boolean LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT allowed IS NULL OR coalesce(host = ANY (allowed) OR EXISTS (
    SELECT FROM unnest(allowed) AS a WHERE left(a, 2) = '*.' AND right(host, length(a) - 1) = substr(a, 2) AND length(host) > length(a) - 1), false)
$$;
