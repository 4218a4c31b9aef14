-- A tenant that makes no sense is refused in words. When and by whom its status changed is written down here.
CREATE OR REPLACE FUNCTION noti.on_odd_tenant() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  wrong text;
BEGIN
  wrong := CASE
    WHEN coalesce(NEW.tenant_id, '') = '' THEN 'the tenant has no name. Give its tenant_id.'
    WHEN TG_OP = 'UPDATE' AND NEW.tenant_id <> OLD.tenant_id THEN 'the name of a tenant never changes. Add another one.'
    WHEN NEW.status IS NULL OR NEW.status NOT IN ('active', 'suspended', 'removing') THEN 'the status is unknown. Give active or suspended.'
    WHEN NEW.waiting_rows < 1 OR NEW.waiting_bytes < 1 THEN 'a bound on what waits is at least 1. Suspend who is to send nothing.'
    WHEN NEW.highest_priority NOT IN ('low', 'normal', 'high', 'urgent') THEN 'the priority is unknown. Give low, normal, high or urgent.'
    WHEN NOT NEW.channels <@ '{email,sms,whatsapp,push,voice,chat,webhook,in_app}' THEN
      'a channel is unknown. Give some of email, sms, whatsapp, push, voice, chat, webhook, in_app.'
    WHEN 0 IN (cardinality(NEW.channels), cardinality(NEW.providers), cardinality(NEW.senders), cardinality(NEW.hosts)) THEN
      'an empty list would allow nothing. Suspend who is to send nothing, or leave the list out.'
    WHEN array_position(NEW.channels || NEW.providers || NEW.senders || NEW.hosts, NULL) IS NOT NULL
      OR '' = ANY (NEW.providers || NEW.senders || NEW.hosts) THEN 'an entry of a list is empty. Leave it out.'
    WHEN greatest(cardinality(NEW.providers), cardinality(NEW.senders), cardinality(NEW.hosts)) > 100 THEN 'a list has more than 100 entries. Use *@domain and *.domain.'
    WHEN EXISTS (SELECT FROM unnest(NEW.hosts) h WHERE h <> lower(h COLLATE "C") OR h ~ '[/@[:space:]]') THEN
      'a host is a name in small letters, or *.domain. Leave out https:// and whatever follows the host.'
    WHEN octet_length(NEW.tenant_id) > 128 OR octet_length(NEW.reason) > 4096 OR octet_length(NEW.status_by) > 256 OR octet_length(NEW.set_by) > 256 THEN
      'the name, the reason or the person is too long. Give at most 128, 4096 and 256 bytes.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'tenants_sane';
  END IF;
  IF NEW.status = 'active' THEN
    NEW.reason := NULL;
  END IF;
  IF TG_OP = 'INSERT' OR NEW.status <> OLD.status THEN
    NEW.status_at := clock_timestamp();
    NEW.status_by := coalesce(nullif(current_setting('noti.person', true), ''),
                              CASE WHEN TG_OP = 'INSERT' OR NEW.status_by <> OLD.status_by THEN NEW.status_by ELSE CURRENT_USER END);
  END IF;
  IF NEW.waiting_rows IS NULL AND NEW.refuses = 'rows' OR NEW.waiting_bytes IS NULL AND NEW.refuses = 'bytes' THEN
    NEW.refuses := NULL;
  END IF;
  RETURN NEW;
END $$;
