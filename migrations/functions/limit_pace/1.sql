-- The part of its rate that a bucket has at an instant: what was left when it was slowed, and a hundredth more each second.
CREATE OR REPLACE FUNCTION noti.limit_pace(pace float8, slowed_at timestamptz, at timestamptz) RETURNS float8
  LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN slowed_at IS NULL THEN 1 ELSE least(1, pace + 0.01 * greatest(0, extract(epoch FROM at - slowed_at)::float8)) END
$$;
