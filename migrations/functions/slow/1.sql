-- A provider said that it was too fast: half the rate from now on, and nothing for `hold` seconds. Answers of one second are one
-- answer. Gives the part of the rate that is left; NULL for a bucket that nobody has taken from.
CREATE OR REPLACE FUNCTION noti.slow(scope text, tenant text, name text, hold float8) RETURNS float8
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  at_ timestamptz;
  b   noti.buckets;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), slow.scope, slow.tenant, slow.name, ''), 7700141));
  at_ := clock_timestamp();
  SELECT x.* INTO b FROM noti.buckets x
   WHERE x.scope = slow.scope AND x.tenant_id = slow.tenant AND x.name = slow.name
   ORDER BY x.scope DESC, x.tenant_id DESC, x.name DESC, x.n DESC LIMIT 1;
  IF b.n IS NULL THEN RETURN NULL; END IF;
  IF b.slowed_at IS NULL OR b.slowed_at < at_ - interval '1 second' THEN
    b.pace := greatest(1 / 64.0, noti.limit_pace(b.pace, b.slowed_at, at_) / 2);
    b.slowed_at := at_;
  END IF;
  INSERT INTO noti.buckets
  VALUES (b.scope, b.tenant_id, b.name, b.n + 1, b.rate, b.burst, 0,
          greatest(b.filled_at, at_ + least(300, greatest(0, slow.hold)) * interval '1 second'), b.pace, b.slowed_at);
  DELETE FROM noti.buckets x WHERE x.scope = b.scope AND x.tenant_id = b.tenant_id AND x.name = b.name AND x.n = b.n;
  RETURN b.pace;
END $$;
