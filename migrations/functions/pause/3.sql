-- Pause a channel, account or template, of all tenants or of one, a tenant, or everything; pausing again changes reason and end.
-- What is in flight is not affected. Without a tenant a template is meant by its id, whichever tenant has one of that id.
-- As the owner: whoever may delete from a table may also lock it, and stop the workers.
CREATE OR REPLACE FUNCTION noti.pause(scope text, name text DEFAULT NULL, reason text DEFAULT NULL, until timestamptz DEFAULT NULL, paused_by text DEFAULT NULL, tenant text DEFAULT NULL)
  RETURNS noti.pauses LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong  text;
  of     text := coalesce(pause.tenant, '');
  answer noti.pauses;
BEGIN
  wrong := CASE
    WHEN pause.scope IS NULL OR pause.scope NOT IN ('everything', 'channel', 'account', 'tenant', 'template') THEN
      'what to pause is unknown. Give everything, channel, account, tenant or template.'
    WHEN pause.scope = 'everything' AND coalesce(pause.name, '') <> '' THEN 'everything has no name. Leave the name out, or say what it is the name of.'
    WHEN pause.scope <> 'everything' AND coalesce(pause.name, '') = '' THEN 'the name is missing. Say which ' || pause.scope || ' to pause.'
    WHEN pause.scope = 'channel' AND pause.name NOT IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
      'the channel is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.'
    WHEN of <> '' AND pause.scope NOT IN ('channel', 'account', 'template') THEN
      'only a channel, an account or a template can be paused for one tenant. Leave the tenant out, or pause the tenant by its name.'
    WHEN pause.until <= clock_timestamp() THEN 'the pause would have ended already. Give an instant to come, or none.'
    WHEN pause.until > '2200-01-01 00:00+00' THEN 'the end is too far ahead. Leave it out for a pause without an end.'
    WHEN octet_length(pause.name) > 256 OR octet_length(pause.reason) > 4096 OR octet_length(pause.paused_by) > 256 OR octet_length(of) > 128 THEN
      'the name, the reason, the person or the tenant is too long. Give at most 256, 4096, 256 and 128 bytes.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'pauses_sane';
  END IF;
  PERFORM noti.check_tenant(CASE WHEN of <> '' THEN of WHEN pause.scope = 'tenant' THEN pause.name END);
  DELETE FROM noti.pauses p WHERE p.until <= clock_timestamp();
  INSERT INTO noti.pauses AS p (scope, name, tenant_id, reason, paused_by, until)
  VALUES (CASE WHEN of = '' THEN '' ELSE 'tenant ' END || pause.scope, coalesce(pause.name, ''), of, nullif(pause.reason, ''),
          coalesce(nullif(pause.paused_by, ''), noti.actor()), pause.until)
  ON CONFLICT ON CONSTRAINT pauses_pkey DO UPDATE SET reason = EXCLUDED.reason, paused_by = EXCLUDED.paused_by, until = EXCLUDED.until
  RETURNING p.* INTO answer;
  RETURN answer;
END $$;
