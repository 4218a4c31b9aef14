-- Queue one message on several channels: a notification for each, whose ids come back in the order of the channels. With the policy
-- `all` each is sent; with `first_success` each but the first waits until those before it have ended, and is sent only if none of them
-- was. `preferred` stands for the channels of the category, else those on which the person has addresses, without those that the person
-- refused. Options are given by channel. A key gets the channel's name behind it.
CREATE OR REPLACE FUNCTION noti.send(
    channels text[], recipient text, policy text DEFAULT 'all', subject text DEFAULT NULL, body text DEFAULT NULL, template_id text DEFAULT NULL,
    template_data jsonb DEFAULT NULL, tenant_id text DEFAULT NULL, entity_type text DEFAULT NULL, entity_id text DEFAULT NULL,
    priority text DEFAULT 'normal', send_at timestamptz DEFAULT NULL, expires_at timestamptz DEFAULT NULL,
    idempotency_key text DEFAULT NULL, max_retries int DEFAULT NULL, locale text DEFAULT NULL, category text DEFAULT NULL,
    provider text DEFAULT NULL, collapse_key text DEFAULT NULL, on_uncertain text DEFAULT NULL, options jsonb DEFAULT NULL,
    metadata jsonb DEFAULT NULL, traceparent text DEFAULT NULL, template_version int DEFAULT NULL)
  RETURNS TABLE (channel text, notification_id bigint) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
  wanted text[];
  known  constant text[] := '{email,sms,whatsapp,push,voice,chat,webhook,in_app}';
  place  int;
  before bigint;
  odd    text;
BEGIN
  tenant_id := coalesce(tenant_id, nullif(current_setting('noti.tenant', true), ''), 'default');
  options := nullif(options, 'null');
  IF coalesce(policy, '') NOT IN ('all', 'first_success') THEN
    RAISE EXCEPTION 'noti: the policy is unknown. Give all, or first_success.' USING ERRCODE = 'check_violation';
  END IF;
  IF channels IS NULL OR channels = '{}' OR array_position(channels, NULL) IS NOT NULL THEN
    RAISE EXCEPTION 'noti: no channel is named. Give some, like {email,sms}, or {preferred}.' USING ERRCODE = 'check_violation';
  END IF;
  IF jsonb_typeof(options) <> 'object' THEN
    RAISE EXCEPTION 'noti: options is not a JSON object. Give the options of each channel by its name, or leave it out.' USING ERRCODE = 'check_violation';
  END IF;
  IF 'preferred' = ANY (channels) AND recipient NOT LIKE 'user:%' THEN
    RAISE EXCEPTION 'noti: the preferred channels of an address are not known. Name a person, like user:42, or the channels.' USING ERRCODE = 'check_violation';
  END IF;
  -- As they are named, each once; `preferred` in its place.
  SELECT coalesce(array_agg(each.name ORDER BY each.first), '{}') INTO wanted
    FROM (SELECT one.name, min(one.place) AS first
            FROM (SELECT c.name, c.place * 1000 AS place FROM unnest(channels) WITH ORDINALITY AS c (name, place) WHERE c.name <> 'preferred'
                  UNION ALL
                  SELECT p.name, array_position(channels, 'preferred') * 1000 + p.place
                    FROM unnest(CASE WHEN 'preferred' = ANY (channels) THEN noti.preferred_channels(tenant_id, substr(recipient, 6), category) END)
                         WITH ORDINALITY AS p (name, place)) AS one
           GROUP BY one.name) AS each;
  SELECT w.name INTO odd FROM unnest(wanted) AS w (name) WHERE w.name <> ALL (known) LIMIT 1;
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'noti: there is no channel "%". Known are email, sms, whatsapp, push, voice, chat, webhook and in_app, and preferred.', left(odd, 40)
      USING ERRCODE = 'check_violation';
  END IF;
  SELECT k INTO odd FROM jsonb_object_keys(options) AS k WHERE k <> ALL (known) LIMIT 1;
  IF odd IS NOT NULL THEN
    RAISE EXCEPTION 'noti: options names "%", which is no channel. Give the options of each channel by its name: {"email": {…}}.', left(odd, 40)
      USING ERRCODE = 'check_violation';
  END IF;
  FOR place IN 1 .. cardinality(wanted) LOOP
    channel := wanted[place];
    notification_id := noti.send(
      channel => channel, recipient => recipient, subject => subject, body => body, template_id => template_id, template_data => template_data,
      tenant_id => tenant_id, entity_type => entity_type, entity_id => entity_id, priority => priority,
      send_at => CASE WHEN policy = 'first_success' AND place > 1
                      THEN greatest(send_at, clock_timestamp()) + (place - 1) * interval '3 seconds' ELSE send_at END,
      expires_at => expires_at, idempotency_key => nullif(idempotency_key, '') || ':' || channel, max_retries => max_retries, locale => locale,
      category => category, provider => provider, collapse_key => collapse_key, on_uncertain => on_uncertain, options => options -> channel,
      metadata => metadata, traceparent => traceparent, template_version => template_version);
    IF policy = 'first_success' AND place > 1 THEN
      UPDATE noti.notifications_log n SET fallback_of = before
       WHERE n.notification_id = send.notification_id AND n.fallback_of IS NULL AND n.finished_at IS NULL AND before < n.notification_id;
    END IF;
    before := notification_id;
    RETURN NEXT;
  END LOOP;
END $$;
