-- True; or the insert of such a row is refused, in words, because its tenant may not do that, or has as much waiting as it may. What
-- only workers know (which provider an account is of, what a template makes) they look at themselves, and hold the row.
CREATE OR REPLACE FUNCTION noti.within_tenant(tenant text, channel text, priority text, recipient text, provider text, options jsonb) RETURNS boolean
  LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  ranks  constant text[] := '{low,normal,high,urgent}';
  sender constant text := options->>'from';
  t     noti.tenants;
  wrong text;
BEGIN
  SELECT x.* INTO t FROM noti.tenants x WHERE x.tenant_id = tenant AND x.bounded;
  IF NOT FOUND THEN
    RETURN true;
  END IF;
  wrong := CASE
    WHEN t.status = 'removing' THEN 'is being removed. Nothing of it is taken any more'
    WHEN NOT channel = ANY (t.channels) THEN 'may not use the channel ' || channel || '. Use ' || array_to_string(t.channels, ', ') || ', or ask for more'
    WHEN array_position(ranks, priority) > array_position(ranks, t.highest_priority) THEN
      'may not use the priority ' || priority || '. Use ' || t.highest_priority || ' at most, or ask for more'
    WHEN t.refuses = 'rows' THEN 'has ' || t.waiting_rows::text || ' messages waiting, as many as it may. Try again when some are sent, or ask for more'
    WHEN t.refuses = 'bytes' THEN 'has ' || t.waiting_bytes::text || ' bytes waiting, as many as it may. Try again when some are sent, or ask for more'
    WHEN channel = 'webhook' AND NOT noti.host_among(noti.destination(channel, recipient), t.hosts) THEN
      'may not send webhooks to that host. Use ' || array_to_string(t.hosts, ', ') || ', or ask for more'
    WHEN sender IS NOT NULL AND NOT noti.sender_among(channel, sender, t.senders) THEN
      'may not send from that address. Use one of ' || array_to_string(t.senders, ', ') || ', or ask for more'
    WHEN t.providers IS NOT NULL AND provider IS NOT NULL AND provider <> ALL (t.providers)
     AND EXISTS (SELECT FROM noti.living_routes r WHERE provider IN (r.account, r.provider))
     AND NOT EXISTS (SELECT FROM noti.living_routes r WHERE provider IN (r.account, r.provider) AND t.providers && ARRAY[r.account, r.provider]) THEN
      'may not use the provider ' || provider || '. Use ' || array_to_string(t.providers, ', ') || ', or ask for more' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: the tenant % %.', tenant, wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'tenant_bounds';
  END IF;
  RETURN true;
END $$;
