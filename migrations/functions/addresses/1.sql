-- The addresses that get a copy, or the answers, in small letters and without names.
CREATE OR REPLACE FUNCTION noti.addresses(options jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT lower(btrim(coalesce(substring(one.value #>> '{}' FROM '<([^<>]+)>'), one.value #>> '{}')))
    FROM (SELECT jsonb_path_query(options, 'lax $.cc[*]') UNION ALL SELECT jsonb_path_query(options, 'lax $.bcc[*]')
          UNION ALL SELECT jsonb_path_query(options, 'lax $.reply_to[*]')) AS one (value)
$$;
