-- Each bucket as it is now: its rate, the part of it that is left while it is slowed, what it holds, and when there is one more. A
-- standby has none of them.
CREATE OR REPLACE FUNCTION noti.allowance()
  RETURNS TABLE (scope text, tenant_id text, name text, rate float8, burst bigint, pace float8, slowed_at timestamptz, tokens float8, next_at timestamptz)
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF pg_is_in_recovery() THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT b.scope, b.tenant_id, b.name, b.rate, b.burst, p.pace, CASE WHEN p.pace < 1 THEN b.slowed_at END, t.tokens,
         CASE WHEN t.tokens < 1 THEN greatest(b.filled_at, clock_timestamp()) + (1 - t.tokens) / (b.rate * p.pace) * interval '1 second' END
    FROM (SELECT DISTINCT ON (x.scope, x.tenant_id, x.name) x.*
            FROM noti.buckets x ORDER BY x.scope, x.tenant_id, x.name, x.n DESC) AS b
   CROSS JOIN LATERAL (SELECT noti.limit_pace(b.pace, b.slowed_at, clock_timestamp()) AS pace) AS p
   CROSS JOIN LATERAL (
         SELECT least(b.burst, b.tokens + b.rate * p.pace * greatest(0, extract(epoch FROM clock_timestamp() - b.filled_at)::float8)) AS tokens) AS t;
END $$;
