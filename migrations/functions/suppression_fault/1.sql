-- What is wrong with an entry of the suppression list, and what to do, in two sentences; NULL when nothing is.
CREATE OR REPLACE FUNCTION noti.suppression_fault(tenant_id text, channel text, address text, reason text, category text, note text, expires_at timestamptz)
  RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  normal text;
BEGIN
  IF channel IS NULL OR channel NOT IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
    RETURN 'the channel is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.';
  END IF;
  normal := noti.normal_address(channel, address);
  RETURN CASE
    WHEN reason IS NULL OR reason NOT IN ('dead', 'optout', 'complaint', 'manual') THEN
      'the reason is unknown. Give one of dead, optout, complaint, manual.'
    WHEN tenant_id IS NULL OR octet_length(tenant_id) > 128 THEN 'the tenant is missing or too long. Give its name, of at most 128 bytes.'
    WHEN normal IS NULL THEN
      CASE WHEN coalesce(address, '') = '' THEN 'the address is missing. Give one.'
           WHEN channel IN ('sms', 'voice', 'whatsapp') THEN 'the address is not a phone number in the international form. Write + and digits.'
           WHEN channel = 'email' THEN 'the address is not one e-mail address. Write it alone, or as Name <address>.'
           ELSE 'the address is missing. Give one.' END
    WHEN octet_length(normal) > 4096 OR octet_length(category) > 256 OR octet_length(note) > 4096 THEN
      'the address, category or note is too long. Give at most 4096, 256 and 4096 bytes.'
    WHEN expires_at > '2200-01-01 00:00+00' AND expires_at <> 'infinity' OR expires_at < '2000-01-01 00:00+00' THEN
      'the end is too far away. Leave it out for an entry without an end.' END;
END $$;
