-- Give what happened its place in the order, and tell each endpoint that has heard what it was told before: one webhook at a time, so that
-- everything comes in order. One that was refused is made again after a pause, with the same events; an endpoint that takes nothing for
-- five days, or says that it is gone, is disabled, and its owner is told. One at a time does this for all. `after`: up to where this worker
-- knows that all have a place; the dead entries before it are not walked again. What goes wrong with one endpoint stays with it.
CREATE OR REPLACE FUNCTION noti.pump_events(after bigint)
  RETURNS TABLE (placed bigint, told bigint, last bigint, more boolean, failed json)
  LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  e      record;
  ep     noti.endpoints;
  bad    boolean;
  dead   boolean;
  count  int;
  why    text;
  ends   json[] := '{}';
BEGIN
  placed := 0; told := 0; last := after; more := false; failed := '[]';
  IF NOT pg_try_advisory_xact_lock(7700152) THEN
    RETURN NEXT;
    RETURN;
  END IF;
  WITH fresh AS MATERIALIZED (
    SELECT v.event_id FROM noti.events v WHERE v.place IS NULL AND v.event_id > after ORDER BY v.event_id LIMIT 5000),
  given AS MATERIALIZED (SELECT f.event_id, nextval('noti.event_places') AS place FROM fresh f),
  done AS (
    UPDATE noti.events v SET place = g.place FROM given g
     WHERE v.event_id = g.event_id AND v.event_id = ANY (ARRAY(SELECT f.event_id FROM fresh f))
    RETURNING v.event_id)
  SELECT count(*), coalesce(max(d.event_id), after) INTO placed, last FROM done d;

  FOR e IN
    SELECT p AS endpoint, v.envelope_id, v.after_place, v.last_place, n.status, n.finished_at, n.attempt_count, n.notification_id, n.error_message, n.recipient
      FROM noti.endpoints p
     CROSS JOIN LATERAL (SELECT x.* FROM noti.envelopes x WHERE x.endpoint_id = p.endpoint_id ORDER BY x.envelope_id DESC LIMIT 1) AS v
      LEFT JOIN LATERAL (SELECT l.* FROM noti.notifications_log l WHERE l.notification_id = v.notification_id LIMIT 1) AS n ON true
     WHERE p.state = 'enabled'
       AND (p.failing_since IS NOT NULL
            OR n.attempt_count > 0 AND n.status NOT IN ('sent', 'cancelled') OR n.status IN ('failed', 'expired', 'suppressed')
            OR (n.status IS NULL OR n.finished_at IS NOT NULL)
               AND EXISTS (SELECT FROM noti.events w WHERE w.tenant_id = p.tenant_id AND w.place IS NOT NULL AND w.place > v.last_place))
     ORDER BY p.endpoint_id
  LOOP
    SELECT p.* INTO ep FROM noti.endpoints p WHERE p.endpoint_id = (e.endpoint).endpoint_id AND p.state = 'enabled' FOR NO KEY UPDATE SKIP LOCKED;
    CONTINUE WHEN NOT FOUND;   -- somebody changes it
    bad := e.status IN ('failed', 'expired', 'suppressed') OR e.attempt_count > 0 AND e.status NOT IN ('sent', 'cancelled');
    IF bad AND ep.failing_since IS NULL THEN
      ep.failing_since := clock_timestamp();
      UPDATE noti.endpoints p SET failing_since = ep.failing_since WHERE p.endpoint_id = ep.endpoint_id;
    ELSIF e.status = 'sent' AND ep.failing_since <= e.finished_at THEN
      ep.failing_since := NULL;
      UPDATE noti.endpoints p SET failing_since = NULL, error = NULL WHERE p.endpoint_id = ep.endpoint_id;
    END IF;

    dead := e.status = 'failed' AND coalesce((SELECT t.kind = 'dead' FROM noti.notification_attempts_log t
                                               WHERE t.notification_id = e.notification_id ORDER BY t.log_id DESC LIMIT 1), false);
    IF dead OR ep.failing_since < clock_timestamp() - interval '5 days' THEN
      why := CASE WHEN dead THEN 'it said that it is gone' ELSE 'it took nothing for 5 days' END
             || coalesce(': ' || left(noti.masked(CASE WHEN bad THEN e.error_message ELSE ep.error END, e.recipient), 500), '');
      IF e.finished_at IS NOT NULL AND bad THEN
        UPDATE noti.envelopes v SET last_place = v.after_place WHERE v.envelope_id = e.envelope_id;
      END IF;
      UPDATE noti.endpoints p SET state = 'failed', state_reason = why WHERE p.endpoint_id = ep.endpoint_id;
      ends := ends || json_build_object('tenant_id', ep.tenant_id, 'name', ep.name, 'reason', why);
      IF ep.owner IS NOT NULL THEN
        BEGIN
          INSERT INTO noti.notifications_log (tenant_id, channel, recipient, subject, body, category, entity_type, entity_id)
          VALUES (ep.tenant_id, ep.owner_channel, ep.owner, 'The endpoint ' || ep.name || ' is disabled',
                  'The endpoint ' || ep.name || ' of tenant ' || ep.tenant_id || ' gets no more events: ' || why || E'.\n\n'
                  'Events are kept for 14 days. When it works again, noti-worker endpoint enable ' || ep.name
                  || ' --tenant ' || ep.tenant_id || ' lets it go on with the first that it did not get.',
                  'noti.endpoint', 'endpoint', ep.name);
        EXCEPTION WHEN OTHERS THEN
          UPDATE noti.endpoints p SET error = left('its owner could not be told: ' || SQLERRM, 1000) WHERE p.endpoint_id = ep.endpoint_id;
        END;
      END IF;
      CONTINUE;
    END IF;

    IF e.status IN ('failed', 'expired', 'suppressed') THEN
      CONTINUE WHEN e.finished_at + least(greatest(e.finished_at - ep.failing_since, interval '10 seconds'), interval '30 minutes') > clock_timestamp();
      UPDATE noti.envelopes v SET last_place = v.after_place WHERE v.envelope_id = e.envelope_id;
      e.last_place := e.after_place;
    END IF;
    CONTINUE WHEN e.status IS NOT NULL AND e.finished_at IS NULL;
    BEGIN
      count := noti.next_envelope(ep, e.last_place);
      told := told + count;
      more := more OR count = 100;
    EXCEPTION WHEN OTHERS THEN   -- a quota, a trigger of the application
      UPDATE noti.endpoints p SET failing_since = coalesce(p.failing_since, clock_timestamp()), error = left(SQLERRM, 1000)
       WHERE p.endpoint_id = ep.endpoint_id;
    END;
  END LOOP;
  more := more OR placed = 5000;
  failed := array_to_json(ends);
  RETURN NEXT;
END $$;
