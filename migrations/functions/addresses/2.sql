-- The addresses that get a copy, or the answers, as noti.address gives them.
CREATE OR REPLACE FUNCTION noti.addresses(options jsonb) RETURNS SETOF text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT noti.address(one.value #>> '{}')
    FROM (SELECT jsonb_path_query(options, 'lax $.cc[*]') UNION ALL SELECT jsonb_path_query(options, 'lax $.bcc[*]')
          UNION ALL SELECT jsonb_path_query(options, 'lax $.reply_to[*]')) AS one (value)
   WHERE jsonb_typeof(one.value) = 'string'
$$;
