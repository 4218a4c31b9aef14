-- The partitions, with the default one (no bounds). The first one of a database that had logs before begins at -infinity.
CREATE OR REPLACE FUNCTION noti.log_partitions() RETURNS TABLE (log text, partition text, from_at timestamptz, to_at timestamptz)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' AS $$
  SELECT p.relname::text, c.relname::text,
         CASE bounds[1] WHEN 'MINVALUE' THEN '-infinity' ELSE btrim(bounds[1], '''')::timestamptz END,
         btrim(bounds[2], '''')::timestamptz
    FROM pg_inherits i
    JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_class c ON c.oid = i.inhrelid
   CROSS JOIN LATERAL (SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM [(](.*)[)] TO [(](.*)[)]') AS bounds) AS found
   WHERE p.relnamespace = 'noti'::regnamespace AND p.relname IN ('notification_attempts_log', 'audit_log') AND p.relkind = 'p'
   ORDER BY 1, 3, 2
$$;
