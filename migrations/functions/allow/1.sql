-- Take up to `wants` of each named limit, or give back where that is negative. Gives in the order asked how many were granted, where it
-- was less the seconds after which to ask again, and what this take told of a quota: that it is nearly, or wholly, used. What a limit
-- is like its caller says; an empty period is a rate. plpgsql, so that plans are kept.
CREATE OR REPLACE FUNCTION noti.allow(scopes text[], tenants text[], names text[], periods text[], amounts bigint[], everys float8[], bursts bigint[],
                                      zones text[], doublings float8[], wants int[])
  RETURNS TABLE (place int, granted int, again_in float8, told text)
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
  lock_ bigint;
  at_   timestamptz;
  b     noti.buckets;
  u     noti.usage;
  first date;
  pace_ float8;
  speed float8;
  left_ float8;
BEGIN
  -- One taker at a time, and one order of locks for all, whatever each of them asks for.
  FOR lock_ IN
    SELECT DISTINCT hashtextextended(concat_ws(chr(31), k.s, k.t, k.n, k.p), 7700141)
      FROM unnest(scopes, tenants, names, periods) AS k (s, t, n, p) ORDER BY 1
  LOOP
    PERFORM pg_advisory_xact_lock(lock_);
  END LOOP;
  FOR i IN 1 .. coalesce(cardinality(scopes), 0) LOOP
    place := i; granted := 0; again_in := NULL; told := NULL;
    IF periods[i] = '' THEN
      SELECT x.* INTO b FROM noti.buckets x
       WHERE x.scope = scopes[i] AND x.tenant_id = tenants[i] AND x.name = names[i]
       ORDER BY x.scope DESC, x.tenant_id DESC, x.name DESC, x.n DESC LIMIT 1;
      at_ := clock_timestamp();
      speed := amounts[i] / everys[i];
      pace_ := noti.limit_pace(coalesce(b.pace, 1), b.slowed_at, at_);
      -- The pace rises evenly: since the last take it was the mean of both on the average, or more.
      left_ := CASE WHEN b.n IS NULL THEN 0 ELSE
        least(bursts[i], b.tokens + speed * greatest(0, extract(epoch FROM at_ - b.filled_at)::float8)
                                  * (noti.limit_pace(b.pace, b.slowed_at, b.filled_at) + pace_) / 2) END;
      granted := CASE WHEN wants[i] < 0 THEN wants[i] ELSE least(wants[i], floor(left_)) END;
      left_ := least(bursts[i], left_ - granted);
      INSERT INTO noti.buckets (scope, tenant_id, name, n, rate, burst, tokens, filled_at, pace, slowed_at)
      VALUES (scopes[i], tenants[i], names[i], coalesce(b.n, 0) + 1, speed, bursts[i], left_, greatest(at_, b.filled_at), coalesce(b.pace, 1), b.slowed_at);
      DELETE FROM noti.buckets x WHERE x.scope = scopes[i] AND x.tenant_id = tenants[i] AND x.name = names[i] AND x.n = b.n;
      -- It is worth coming again for half a bucket, or for what a tenth of a second brings, and not before there is one.
      again_in := CASE WHEN granted < wants[i] THEN
        greatest(0, coalesce(extract(epoch FROM b.filled_at - at_)::float8, 0))
        + greatest((1 - left_) / (speed * pace_), least(0.1, (least(wants[i] - granted, bursts[i] / 2.0) - left_) / (speed * pace_))) END;
    ELSE
      at_ := clock_timestamp();
      first := date_trunc(periods[i], at_ AT TIME ZONE zones[i])::date;
      SELECT x.* INTO u FROM noti.usage x
       WHERE x.scope = scopes[i] AND x.tenant_id = tenants[i] AND x.name = names[i] AND x.period = periods[i]
       ORDER BY x.scope DESC, x.tenant_id DESC, x.name DESC, x.period DESC, x.n DESC LIMIT 1;
      IF u.since IS DISTINCT FROM first THEN
        u := ROW(scopes[i], tenants[i], names[i], periods[i], coalesce(u.n, 0), first, at_, 0, 0, coalesce(u.began, first), 0);
        u.until := (first + ('1 ' || periods[i])::interval) AT TIME ZONE zones[i];
      END IF;
      u.amount := CASE WHEN doublings[i] IS NULL THEN amounts[i]
                       ELSE floor(least(1e9, amounts[i] * 2 ^ least(64, (first - u.began) / doublings[i]))) END;
      granted := CASE WHEN wants[i] < 0 THEN greatest(wants[i], -u.taken) ELSE least(wants[i], greatest(0, u.amount - u.taken)) END;
      u.taken := u.taken + granted;
      IF granted = 0 AND wants[i] > 0 THEN   -- what others have in hand may still come back
        again_in := greatest(0.1, least(1, extract(epoch FROM u.until - at_)::float8));
        INSERT INTO noti.spent AS s (scope, tenant_id, name, period, amount, until)
        VALUES (u.scope, u.tenant_id, u.name, u.period, u.amount, u.until)
        ON CONFLICT ON CONSTRAINT spent_pkey DO UPDATE SET since = clock_timestamp(), until = EXCLUDED.until, amount = EXCLUDED.amount
         WHERE s.until < EXCLUDED.until OR s.amount < EXCLUDED.amount;
      ELSIF u.taken < u.amount THEN
        DELETE FROM noti.spent s WHERE s.scope = u.scope AND s.tenant_id = u.tenant_id AND s.name = u.name AND s.period = u.period;
      END IF;
      told := CASE WHEN again_in IS NOT NULL AND u.told < 2 THEN 'spent' WHEN u.told < 1 AND u.taken >= 0.8 * u.amount THEN 'nearly' END;
      IF told IS NOT NULL THEN
        u.told := CASE told WHEN 'spent' THEN 2 ELSE 1 END;
        INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
        VALUES (CASE WHEN u.tenant_id <> '' THEN u.tenant_id ELSE 'default' END, 'limit', concat_ws(':', u.scope, u.name),
                CASE told WHEN 'spent' THEN 'quota_spent' ELSE 'quota_nearly_spent' END, 'db', noti.actor(),
                jsonb_build_object('period', u.period, 'since', u.since, 'amount', u.amount, 'taken', u.taken, 'until', u.until));
      END IF;
      IF granted <> 0 OR told IS NOT NULL THEN
        INSERT INTO noti.usage
        VALUES (u.scope, u.tenant_id, u.name, u.period, u.n + 1, u.since, u.until, u.amount, u.taken, u.began, u.told);
        DELETE FROM noti.usage x
         WHERE x.scope = u.scope AND x.tenant_id = u.tenant_id AND x.name = u.name AND x.period = u.period AND x.n = u.n;
      END IF;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
