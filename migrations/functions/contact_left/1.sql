-- A dead address leaves the contacts that have it: what a provider answered, or told later, must not be tried again and again.
CREATE OR REPLACE FUNCTION noti.contact_left(tenant_id text, channel text, address text, because text) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_variable
BEGIN
  UPDATE noti.contacts c SET left_at = clock_timestamp(), left_because = because, updated_at = clock_timestamp()
   WHERE c.address_hash = noti.address_hash(channel, address) AND c.tenant_id = contact_left.tenant_id AND c.channel = contact_left.channel
     AND c.left_at IS NULL;
END $$;
