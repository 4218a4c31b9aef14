-- When what a person wants hourly or daily goes out: at the full hour, or at 8 in the morning where that person is. Before it expires.
CREATE OR REPLACE FUNCTION noti.gathers_until(tenant text, channel text, recipient text, frequency text, expires_at timestamptz)
  RETURNS timestamptz LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
#variable_conflict use_variable
DECLARE
  now_at constant timestamptz := clock_timestamp();
  person constant text := CASE WHEN recipient LIKE 'user:%' THEN substr(recipient, 6) END;
  place  text;
  until  timestamptz;
BEGIN
  IF frequency = 'hourly' THEN
    until := date_trunc('hour', now_at) + interval '1 hour';
  ELSE
    IF person IS NOT NULL THEN
      SELECT c.zone INTO place FROM noti.contacts c
       WHERE c.tenant_id = tenant AND c.user_ref = person AND c.left_at IS NULL AND c.zone IS NOT NULL
       ORDER BY c.channel = channel DESC, c.place LIMIT 1;
    ELSE
      SELECT c.zone INTO place FROM noti.contacts c
       WHERE c.address_hash = noti.address_hash(channel, recipient) AND c.tenant_id = tenant AND c.channel = channel
         AND c.left_at IS NULL AND c.zone IS NOT NULL
       LIMIT 1;
    END IF;
    BEGIN
      until := noti.next_local('08:00', coalesce(place, 'UTC'), now_at);
    EXCEPTION WHEN invalid_parameter_value OR data_exception THEN   -- a zone that this server does not know any more
      until := noti.next_local('08:00', 'UTC', now_at);
    END;
  END IF;
  RETURN greatest(least(until, expires_at - interval '1 minute'), now_at);
END $$;
