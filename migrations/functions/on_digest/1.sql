-- BEFORE INSERT, of rows with a digest_key alone: a new one gathers until the end of its digest's window. It reads by key who
-- gathers already, and waits for nobody. As the owner: a row of the tenant may have been inserted by another role.
CREATE OR REPLACE FUNCTION noti.on_digest() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
  SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  digest jsonb;
  fault  text;
  place  text;
  person text;
  began  timestamptz;
  others int;
BEGIN
  IF NEW.digest_key = '' THEN
    NEW.digest_key := NULL;
  END IF;
  -- noti.close_digests makes the message of a digest: it carries the key, and has gathered.
  IF NEW.digest_key IS NULL OR NEW.finished_at IS NOT NULL OR current_setting('noti.closing', true) = 'on' THEN
    RETURN NEW;
  END IF;
  digest := coalesce(nullif(NEW.options -> 'digest', 'null'), '{}');
  fault := CASE WHEN NEW.status <> 'pending' THEN 'what is ' || NEW.status || ' does not gather. Leave out the status, or the digest_key.'
                WHEN jsonb_typeof(NEW.options) <> 'object' THEN 'options is not a JSON object. Give one, or leave it out.'
                WHEN octet_length(NEW.digest_key) > 256 THEN 'digest_key is larger than 256 bytes. Make it smaller.'
                ELSE noti.digest_fault(digest) END;
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;

  SELECT f.created_at INTO began
    FROM noti.notifications_log f
   WHERE hashtextextended(f.tenant_id || chr(31) || f.channel || chr(31) || f.digest_key || chr(31) || f.recipient, 0)
         = hashtextextended(NEW.tenant_id || chr(31) || NEW.channel || chr(31) || NEW.digest_key || chr(31) || NEW.recipient, 0)
     AND f.digest_key IS NOT NULL AND f.finished_at IS NULL AND f.held_at IS NOT NULL AND f.status = 'gathering'
     AND (f.tenant_id, f.channel, f.digest_key, f.recipient) = (NEW.tenant_id, NEW.channel, NEW.digest_key, NEW.recipient)
   ORDER BY f.notification_id
   LIMIT 1;
  began := least(began, NEW.created_at);
  IF digest ? 'at' THEN   -- by the clock that was named, else of whom it goes to
    person := CASE WHEN NEW.recipient LIKE 'user:%' THEN substr(NEW.recipient, 6) END;
    place := digest ->> 'zone';
    IF place IS NULL AND person IS NOT NULL THEN
      SELECT c.zone INTO place FROM noti.contacts c
       WHERE c.tenant_id = NEW.tenant_id AND c.user_ref = person AND c.left_at IS NULL AND c.zone IS NOT NULL
       ORDER BY c.channel = NEW.channel DESC, c.place LIMIT 1;
    ELSIF place IS NULL THEN
      SELECT c.zone INTO place FROM noti.contacts c
       WHERE c.address_hash = noti.address_hash(NEW.channel, NEW.recipient) AND c.tenant_id = NEW.tenant_id AND c.channel = NEW.channel
         AND c.left_at IS NULL AND c.zone IS NOT NULL
       LIMIT 1;
    END IF;
  END IF;
  NEW.send_at := coalesce(NEW.send_at, least(
    began + make_interval(secs => extract(epoch FROM (CASE WHEN digest ?| '{at,quiet_for}' THEN digest ->> 'after'
                                                           ELSE coalesce(digest ->> 'after', '15m') END)::interval)),
    noti.next_local(digest ->> 'at', coalesce(place, 'UTC'), began),
    NEW.created_at + make_interval(secs => extract(epoch FROM (digest ->> 'quiet_for')::interval))));
  NEW.send_at := greatest(NEW.send_at, NEW.created_at);
  IF digest ? 'most' THEN   -- with it they are so many: whoever closes digests looks at once
    SELECT count(*) INTO others
      FROM (SELECT
              FROM noti.notifications_log f
             WHERE hashtextextended(f.tenant_id || chr(31) || f.channel || chr(31) || f.digest_key || chr(31) || f.recipient, 0)
                   = hashtextextended(NEW.tenant_id || chr(31) || NEW.channel || chr(31) || NEW.digest_key || chr(31) || NEW.recipient, 0)
               AND f.digest_key IS NOT NULL AND f.finished_at IS NULL AND f.held_at IS NOT NULL
             LIMIT (digest ->> 'most')::int) AS f;
    IF others >= (digest ->> 'most')::int - 1 THEN
      NEW.next_retry_at := NEW.created_at;
    END IF;
  END IF;
  NEW.status := 'gathering';
  NEW.held_at := clock_timestamp();
  RETURN NEW;
END $$;
