-- Pauses: what is not sent for now. Workers read this table about once a second and leave the rows where they are.

CREATE TABLE noti.pauses (
  scope      text NOT NULL,
  name       text NOT NULL DEFAULT '',
  reason     text,
  paused_by  text NOT NULL DEFAULT CURRENT_USER,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  until      timestamptz,
  CONSTRAINT pauses_pkey PRIMARY KEY (scope, name),
  CONSTRAINT pauses_sane CHECK (
        scope IN ('everything', 'channel', 'account', 'tenant', 'template')
    AND (scope = 'everything') = (name = '')
    AND (scope <> 'channel' OR name IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app'))
    AND until >= '2000-01-01 00:00+00' AND until <= '2200-01-01 00:00+00'
    AND octet_length(name) <= 256 AND octet_length(reason) <= 4096
    AND octet_length(paused_by) >= 1 AND octet_length(paused_by) <= 256)
);

-- Whoever may read why a message waits, may read what is paused: noti.why looks here, too.
DO $$
DECLARE reader text;
BEGIN
  FOR reader IN
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.oid = 'noti.workers'::regclass AND a.privilege_type = 'SELECT' AND a.grantee <> c.relowner
  LOOP
    EXECUTE 'GRANT SELECT ON noti.pauses TO ' || reader;
  END LOOP;
END $$;

-- An audit line for whatever changes a pause, by function or by plain SQL, and a hint to the workers.
CREATE FUNCTION noti.on_pause() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p noti.pauses;
BEGIN
  IF TG_OP = 'DELETE' THEN p := OLD; ELSE p := NEW; END IF;
  -- One that had ended by itself is only tidied away.
  IF TG_OP <> 'DELETE' OR p.until IS NULL OR p.until > clock_timestamp() THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    VALUES (CASE WHEN p.scope = 'tenant' THEN p.name ELSE 'default' END, 'pause', concat_ws(':', p.scope, nullif(p.name, '')),
            CASE TG_OP WHEN 'DELETE' THEN 'resumed' ELSE 'paused' END, 'db', noti.actor(),
            jsonb_strip_nulls(jsonb_build_object(
              'by', CASE TG_OP WHEN 'DELETE' THEN nullif(current_setting('noti.person', true), '') ELSE p.paused_by END,
              'reason', p.reason, 'until', p.until)));
    IF lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0') THEN
      PERFORM pg_notify('noti_wake', '');
    END IF;
  END IF;
  RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION noti.on_pause() FROM PUBLIC;
CREATE TRIGGER pauses_change AFTER INSERT OR UPDATE OR DELETE ON noti.pauses FOR EACH ROW EXECUTE FUNCTION noti.on_pause();

-- Pause a channel, account, tenant or template by its name, or everything; pausing again changes reason and end.
-- What is in flight is not affected. A template is meant by its id, whichever tenant has one of that id.
CREATE FUNCTION noti.pause(scope text, name text DEFAULT NULL, reason text DEFAULT NULL, until timestamptz DEFAULT NULL, paused_by text DEFAULT NULL)
  RETURNS noti.pauses LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  wrong  text;
  answer noti.pauses;
BEGIN
  wrong := CASE
    WHEN pause.scope IS NULL OR pause.scope NOT IN ('everything', 'channel', 'account', 'tenant', 'template') THEN
      'what to pause is unknown. Give everything, channel, account, tenant or template.'
    WHEN pause.scope = 'everything' AND coalesce(pause.name, '') <> '' THEN 'everything has no name. Leave the name out, or say what it is the name of.'
    WHEN pause.scope <> 'everything' AND coalesce(pause.name, '') = '' THEN 'the name is missing. Say which ' || pause.scope || ' to pause.'
    WHEN pause.scope = 'channel' AND pause.name NOT IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') THEN
      'the channel is unknown. Give one of email, sms, whatsapp, push, voice, chat, webhook, in_app.'
    WHEN pause.until <= clock_timestamp() THEN 'the pause would have ended already. Give an instant to come, or none.'
    WHEN pause.until > '2200-01-01 00:00+00' THEN 'the end is too far ahead. Leave it out for a pause without an end.'
    WHEN octet_length(pause.name) > 256 OR octet_length(pause.reason) > 4096 OR octet_length(pause.paused_by) > 256 THEN
      'the name, the reason or the person is too long. Give at most 256, 4096 and 256 bytes.' END;
  IF wrong IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', wrong USING ERRCODE = 'check_violation', CONSTRAINT = 'pauses_sane';
  END IF;
  DELETE FROM noti.pauses p WHERE p.until <= clock_timestamp();
  INSERT INTO noti.pauses AS p (scope, name, reason, paused_by, until)
  VALUES (pause.scope, coalesce(pause.name, ''), nullif(pause.reason, ''), coalesce(nullif(pause.paused_by, ''), noti.actor()), pause.until)
  ON CONFLICT ON CONSTRAINT pauses_pkey DO UPDATE SET reason = EXCLUDED.reason, paused_by = EXCLUDED.paused_by, until = EXCLUDED.until
  RETURNING p.* INTO answer;
  RETURN answer;
END $$;

-- End a pause; true when there was one. Others that close the same rows stay.
CREATE FUNCTION noti.resume(scope text, name text DEFAULT NULL, resumed_by text DEFAULT NULL)
  RETURNS boolean LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  ended boolean;
BEGIN
  PERFORM set_config('noti.person', coalesce(resume.resumed_by, ''), true);
  DELETE FROM noti.pauses p WHERE p.scope = resume.scope AND p.name = coalesce(resume.name, '')
  RETURNING p.until IS NULL OR p.until > clock_timestamp() INTO ended;
  PERFORM set_config('noti.person', '', true);
  RETURN coalesce(ended, false);
END $$;

-- One pause in words, for next_step and for people.
CREATE FUNCTION noti.pause_words(p noti.pauses) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE p.scope WHEN 'everything' THEN 'everything' ELSE 'the ' || p.scope || ' ' || p.name END
         || ' is paused by ' || p.paused_by || ' since ' || noti.instant(p.created_at)
         || coalesce(' until ' || noti.instant(p.until), ' until it is resumed') || coalesce(' (' || p.reason || ')', '')
$$;

-- Which pauses keep this row from being sent, in words; NULL when none does. What accounts there are, living workers tell.
CREATE FUNCTION noti.paused(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH active AS (SELECT p FROM noti.pauses p WHERE p.until IS NULL OR p.until > clock_timestamp()),
  able AS (  -- the accounts that may send it
    SELECT DISTINCT a.account
      FROM noti.workers w, jsonb_each_text(CASE WHEN jsonb_typeof(w.state->'routes'->n.channel) = 'object' THEN w.state->'routes'->n.channel END) AS a (account, provider)
     WHERE EXISTS (SELECT 1 FROM active WHERE (p).scope = 'account')
       AND w.heartbeat >= clock_timestamp() - interval '15 s'
       AND (n.provider IS NULL OR n.provider = a.account
            OR n.provider = a.provider AND NOT w.state->'routes'->n.channel ? n.provider))
  SELECT string_agg(noti.pause_words(p), ', and ' ORDER BY (p).created_at, (p).scope, (p).name)
    FROM active
   WHERE (p).scope = 'everything'
      OR (p).scope = 'channel' AND (p).name = n.channel
      OR (p).scope = 'tenant' AND (p).name = n.tenant_id
      OR (p).scope = 'template' AND (p).name = n.template_id
      OR (p).scope = 'account' AND (
           (p).name = n.provider
           OR (p).name IN (SELECT account FROM able)
              AND NOT EXISTS (SELECT 1 FROM able WHERE account NOT IN (SELECT (p).name FROM active WHERE (p).scope = 'account')))
$$;

-- What happens next and when, as one sentence; now also what is paused.
CREATE OR REPLACE FUNCTION noti.next_step(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH living AS (
    SELECT w.worker_id, w.heartbeat >= clock_timestamp() - interval '15 s' AS alive,
           coalesce(w.state->'channels' ? n.channel, true) AS serves
      FROM noti.workers w)
  SELECT CASE
      WHEN n.status = 'sent' THEN 'nothing: it was sent at ' || noti.instant(n.sent_at)
      WHEN n.finished_at IS NOT NULL THEN 'nothing: it ' || CASE WHEN n.status IN ('failed', 'expired') THEN '' ELSE 'was ' END || n.status
                           || '; requeue it to send it after all'
      WHEN n.status = 'unknown' THEN 'waits for a person: it may have been sent; release sends it again, cancel does not'
      WHEN n.held_at IS NOT NULL THEN 'waits for a person: release sends it, cancel does not'
      WHEN n.claimed_by IS NOT NULL AND NOT claim.lost THEN 'worker ' || n.claimed_by || ' is sending it; its lease ends at ' || noti.instant(n.lease_until)
                           || CASE n.requested WHEN 'cancelled' THEN '; unless this try settles it, it is cancelled'
                                               WHEN 'held' THEN '; unless this try settles it, it is held' ELSE '' END
      WHEN pause.words IS NOT NULL THEN 'try ' || n.attempt_count + 1 || ' waits: ' || pause.words
                           || CASE WHEN n.due_at > clock_timestamp() THEN '; due at ' || noti.instant(n.due_at) ELSE '; due since ' || noti.instant(n.due_at) END
                           || coalesce('; expires at ' || noti.instant(n.expires_at), '') || retries.words
      WHEN claim.lost THEN 'worker ' || n.claimed_by || ' was lost: another worker takes it over'
                           || CASE n.requested WHEN 'cancelled' THEN ' and cancels it, as requested' WHEN 'held' THEN ' and holds it, as requested' ELSE '' END
      WHEN n.expires_at <= clock_timestamp() THEN 'it expired at ' || noti.instant(n.expires_at) || ': the next worker that takes it writes it off'
      WHEN n.due_at > clock_timestamp() THEN 'try ' || n.attempt_count + 1 || ' at ' || noti.instant(n.due_at) || retries.words
      ELSE 'try ' || n.attempt_count + 1 || ' is due since ' || noti.instant(n.due_at) || ': the next free worker takes it' || retries.words
    END
    || CASE
      WHEN n.finished_at IS NOT NULL OR n.held_at IS NOT NULL OR n.claimed_by IS NOT NULL AND NOT claim.lost THEN ''
      WHEN NOT EXISTS (SELECT 1 FROM living WHERE alive) THEN '; but no worker is running: start one'
      WHEN NOT EXISTS (SELECT 1 FROM living WHERE alive AND serves) THEN '; but no running worker serves ' || n.channel || ': configure an account for it'
      ELSE '' END
  FROM (SELECT n.claimed_by IS NOT NULL AND (n.lease_until < clock_timestamp()
               OR EXISTS (SELECT 1 FROM living l WHERE l.worker_id = n.claimed_by AND NOT l.alive)) AS lost) AS claim,
       (SELECT CASE WHEN n.retry_count > 0 THEN ' (retry ' || n.retry_count || ' of ' || n.max_retries || ')' ELSE '' END AS words) AS retries,
       (SELECT noti.paused(n) AS words) AS pause
$$;
