-- Take up to `wants` tokens of each named bucket, or give back where that is negative; gives in the order asked how many were granted and,
-- where it was less, the seconds after which to ask again. What a bucket is like, its caller says. plpgsql, so that plans are kept.
CREATE OR REPLACE FUNCTION noti.allow(scopes text[], tenants text[], names text[], amounts bigint[], everys float8[], bursts bigint[], wants int[])
  RETURNS TABLE (place int, granted int, again_in float8)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  lock_  bigint;
  at_    timestamptz;
  b      noti.buckets;
  next_  noti.buckets;
  pace_  float8;
  speed  float8;
  left_  float8;
BEGIN
  -- One taker at a time, and one order of locks for all, whatever each of them asks for.
  FOR lock_ IN
    SELECT DISTINCT hashtextextended(concat_ws(chr(31), k.s, k.t, k.n), 7700141) FROM unnest(scopes, tenants, names) AS k (s, t, n) ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(lock_);
  END LOOP;
  FOR i IN 1 .. coalesce(cardinality(scopes), 0) LOOP
    SELECT x.* INTO b FROM noti.buckets x
     WHERE x.scope = scopes[i] AND x.tenant_id = tenants[i] AND x.name = names[i]
     ORDER BY x.scope DESC, x.tenant_id DESC, x.name DESC, x.n DESC LIMIT 1;
    at_ := clock_timestamp();
    speed := amounts[i] / everys[i];
    next_ := ROW(scopes[i], tenants[i], names[i], coalesce(b.n, 0) + 1, speed, bursts[i], 0, greatest(at_, b.filled_at), coalesce(b.pace, 1), b.slowed_at);
    pace_ := noti.limit_pace(next_.pace, next_.slowed_at, at_);
    -- The pace rises evenly: between then and now it was the mean of both on the average, or more.
    left_ := least(bursts[i], coalesce(b.tokens, 0) + speed * greatest(0, coalesce(extract(epoch FROM at_ - b.filled_at)::float8, 0))
                                                   * (noti.limit_pace(next_.pace, next_.slowed_at, b.filled_at) + pace_) / 2);
    IF b.n IS NULL THEN left_ := 0; END IF;
    granted := CASE WHEN wants[i] < 0 THEN wants[i] ELSE least(wants[i], floor(left_)) END;
    left_ := least(bursts[i], left_ - granted);
    next_.tokens := left_;
    INSERT INTO noti.buckets SELECT next_.*;
    DELETE FROM noti.buckets x WHERE x.scope = scopes[i] AND x.tenant_id = tenants[i] AND x.name = names[i] AND x.n = b.n;
    -- It is worth coming again for half a bucket, or for what a tenth of a second brings, and not before there is one.
    again_in := CASE WHEN granted < wants[i] THEN
      greatest(0, extract(epoch FROM next_.filled_at - at_)::float8)
      + greatest((1 - left_) / (speed * pace_), least(0.1, (least(wants[i] - granted, bursts[i] / 2.0) - left_) / (speed * pace_))) END;
    place := i;
    RETURN NEXT;
  END LOOP;
END $$;
