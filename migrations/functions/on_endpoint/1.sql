-- Of each change of an endpoint. Before it: what is wrong, in words, and since when it is so. After it: an audit line without addresses,
-- and what is on its way to where it does not lead any more is taken back; those events go out again.
CREATE OR REPLACE FUNCTION noti.on_endpoint() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  e       record;
  act     text;
  open    record;
  changed text[];
  wrong   text;
BEGIN
  IF TG_WHEN = 'BEFORE' THEN   -- a CHECK would print the whole row, and the URL may be a secret
    wrong := CASE
      WHEN NEW.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' THEN 'its name may have 64 letters, digits, dots, underscores and hyphens'
      WHEN NEW.url !~ '^https?://[^/[:space:]]' OR NEW.url ~ '[[:space:]]' OR octet_length(NEW.url) > 4096 THEN 'its URL must begin with https:// or http://, and have no blanks and no more than 4096 bytes'
      WHEN NOT NEW.events <@ '{sent,failed,expired,suppressed,cancelled,held,unknown,delivered,read,soft_bounced,bounced,complained,unsubscribed}'::text[]
        THEN 'there are the events sent, failed, expired, suppressed, cancelled, held, unknown, delivered, read, soft_bounced, bounced, complained and unsubscribed'
      WHEN NEW.state NOT IN ('enabled', 'disabled', 'failed') THEN 'its state is enabled, disabled or failed'
      WHEN (NEW.owner IS NULL) <> (NEW.owner_channel IS NULL) THEN 'an owner has a channel and an address'
      WHEN TG_OP = 'UPDATE' AND (NEW.endpoint_id, NEW.tenant_id) IS DISTINCT FROM (OLD.endpoint_id, OLD.tenant_id) THEN 'it stays with its tenant' END;
    IF wrong IS NOT NULL THEN
      RAISE EXCEPTION 'noti: of the endpoint %: %. Correct it.', left(NEW.name, 64), wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoints_sane';
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.state <> OLD.state THEN
      NEW.state_since := clock_timestamp();
      IF NEW.state_reason IS NOT DISTINCT FROM OLD.state_reason THEN NEW.state_reason := NULL; END IF;
      IF NEW.state = 'enabled' THEN
        NEW.failing_since := NULL;
        NEW.error := NULL;
      END IF;
    END IF;
    RETURN NEW;
  END IF;

  e := CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
  IF TG_OP = 'INSERT' THEN
    act := 'added';
    INSERT INTO noti.envelopes (endpoint_id, after_place, last_place)
    SELECT e.endpoint_id, p.place, p.place
      FROM (SELECT coalesce((SELECT v.place FROM noti.events v
                              WHERE v.tenant_id = e.tenant_id AND v.place IS NOT NULL ORDER BY v.place DESC LIMIT 1), 0)) AS p (place);
  ELSIF TG_OP = 'DELETE' THEN
    act := 'removed';
  ELSE
    changed := array_remove(ARRAY[
      CASE WHEN NEW.name <> OLD.name THEN 'name' END, CASE WHEN NEW.url <> OLD.url THEN 'url' END,
      CASE WHEN NEW.events <> OLD.events THEN 'events' END, CASE WHEN NEW.channels <> OLD.channels THEN 'channels' END,
      CASE WHEN NEW.account IS DISTINCT FROM OLD.account THEN 'account' END,
      CASE WHEN (NEW.owner_channel, NEW.owner) IS DISTINCT FROM (OLD.owner_channel, OLD.owner) THEN 'owner' END], NULL);
    act := CASE WHEN NEW.state <> OLD.state THEN NEW.state WHEN changed <> '{}' THEN 'changed' END;
    IF act IS NULL THEN
      RETURN NULL;
    END IF;
  END IF;
  IF TG_OP = 'DELETE' OR changed && '{url,account}' OR act IN ('disabled', 'failed') THEN
    SELECT v.envelope_id, v.notification_id INTO open
      FROM noti.envelopes v WHERE v.endpoint_id = e.endpoint_id ORDER BY v.envelope_id DESC LIMIT 1;
    UPDATE noti.notifications_log n SET status = 'cancelled'
     WHERE n.notification_id = open.notification_id AND n.finished_at IS NULL;
    IF FOUND THEN
      UPDATE noti.envelopes v SET last_place = v.after_place WHERE v.envelope_id = open.envelope_id;
    END IF;
  END IF;
  IF TG_OP = 'DELETE' THEN
    DELETE FROM noti.envelopes v WHERE v.endpoint_id = e.endpoint_id;
  END IF;
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  VALUES (e.tenant_id, 'endpoint', e.endpoint_id::text, 'endpoint_' || act, 'db', noti.actor(),
          jsonb_strip_nulls(jsonb_build_object('name', e.name, 'changed', nullif(changed, '{}'),
            'reason', CASE WHEN act IN ('disabled', 'failed') THEN noti.masked(e.state_reason, NULL) END)));
  RETURN NULL;
END $$;
