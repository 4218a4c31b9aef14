-- What to LISTEN to for one person's inbox. Every login of a database hears every channel whose name it knows: this one tells nobody
-- whose it is.
CREATE OR REPLACE FUNCTION noti.inbox_channel(recipient text, tenant_id text DEFAULT 'default') RETURNS text
  LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN 'noti_inbox_' || left(encode(sha256(convert_to(length(inbox_channel.tenant_id)::text || ':' || inbox_channel.tenant_id || inbox_channel.recipient, 'UTF8')), 'hex'), 32);
END $$;
