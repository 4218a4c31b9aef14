-- A limit that makes no sense is refused in words; one in an unknown zone would stop whoever asks for what is left of it.
CREATE OR REPLACE FUNCTION noti.on_odd_limit() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong text;
BEGIN
  wrong := CASE
    WHEN NEW.scope IS NULL OR NEW.scope NOT IN ('account', 'tenant channel', 'destination') THEN
      'what is limited is unknown. Give account, tenant channel or destination.'
    WHEN coalesce(NEW.name, '') = '' THEN 'the name is missing. Say which ' || NEW.scope || ' to limit.'
    WHEN NEW.scope <> 'tenant channel' AND NEW.tenant_id <> '' THEN 'an account or a destination is limited for all tenants together. Leave the tenant out.'
    WHEN NEW.scope = 'destination' AND NEW.name <> lower(NEW.name COLLATE "C") THEN 'a destination is a domain or host in small letters. Write it so.'
    WHEN NEW.scope = 'destination' AND NEW.period <> '' THEN 'a destination has a rate and no quota. Give every, and an empty period.'
    WHEN NEW.scope = 'tenant channel' AND coalesce(NEW.tenant_id, '') = '' THEN 'the tenant is missing. Say whose channel to limit.'
    WHEN NEW.scope = 'tenant channel' AND NEW.name NOT IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
      'the channel is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.'
    WHEN NEW.period IS NULL OR NEW.period NOT IN ('', 'day', 'month') THEN 'the period is unknown. Give day or month, or an empty one for a rate.'
    WHEN NEW.amount IS NULL OR NEW.amount < 1 OR NEW.amount > 1000000000 THEN 'the amount is out of bounds. Give from 1 to 1000000000; pause what is to send nothing.'
    WHEN NEW.period = '' AND NEW.every IS NULL THEN 'a rate needs the time in which so many go. Give every, such as 1 second.'
    WHEN NEW.period = '' AND (NEW.every < interval '1 millisecond' OR NEW.every > interval '1 day') THEN 'the time of a rate is out of bounds. Give from 1 millisecond to 1 day, or a quota of a day or month.'
    WHEN NEW.period <> '' AND (NEW.every IS NOT NULL OR NEW.burst IS NOT NULL) THEN 'a quota has neither a time nor a burst. Leave every and burst out.'
    WHEN NEW.burst < 1 OR NEW.burst > 1000000000 THEN 'the burst is out of bounds. Give at least 1, or leave it out.'
    WHEN NEW.when_spent IS NULL OR NEW.when_spent NOT IN ('wait', 'refuse') THEN 'what happens once a quota is used up is unknown. Give wait or refuse.'
    WHEN NEW.when_spent = 'refuse' AND (NEW.scope <> 'tenant channel' OR NEW.period = '') THEN 'only a quota of a tenant''s channel can refuse what is inserted. Give wait.'
    WHEN NEW.double_every IS NOT NULL AND (NEW.period <> 'day' OR NEW.when_spent = 'refuse') THEN 'only a quota of a day that lets wait can grow. Leave double_every out.'
    WHEN NEW.double_every < interval '1 hour' OR NEW.double_every > interval '366 days' THEN 'the time in which a quota doubles is out of bounds. Give from 1 hour to 366 days.'
    WHEN NEW.zone IS NULL OR NOT EXISTS (SELECT FROM pg_timezone_names z WHERE lower(z.name) = lower(NEW.zone)) THEN
      'the time zone is unknown. Give one such as UTC or Europe/Berlin.'
    WHEN octet_length(NEW.name) > 256 OR octet_length(NEW.tenant_id) > 128 OR octet_length(NEW.set_by) > 256 THEN
      'the name, the tenant or the person is too long. Give at most 256, 128 and 256 bytes.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'limits_sane';
  END IF;
  RETURN NEW;
END $$;
