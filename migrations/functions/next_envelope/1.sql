-- Queue up to 100 of the events that an endpoint wants and does not know, behind a place in the order, as one webhook; gives how many.
-- Events that it does not want are passed over.
CREATE OR REPLACE FUNCTION noti.next_envelope(e noti.endpoints, after_place bigint) RETURNS int
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
#variable_conflict use_column
DECLARE
  w  record;
  id bigint;
BEGIN
  WITH seen AS MATERIALIZED (
    SELECT v.* FROM noti.events v
     WHERE v.tenant_id = e.tenant_id AND v.place IS NOT NULL AND v.place > next_envelope.after_place ORDER BY v.place LIMIT 2000),
  wanted AS MATERIALIZED (
    SELECT s.* FROM seen s
     WHERE (e.events = '{}' OR s.event = ANY (e.events)) AND (e.channels = '{}' OR s.channel = ANY (e.channels))
     ORDER BY s.place LIMIT 100)
  SELECT count(*)::int AS events,
         CASE WHEN count(*) = 100 THEN max(x.place) ELSE (SELECT max(s.place) FROM seen s) END AS last_place,
         (SELECT count(*) FROM seen) AS seen,
         json_agg(json_strip_nulls(json_build_object('id', x.event_id::text, 'type', 'notification.' || x.event, 'timestamp', to_char(x.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           'data', json_build_object('notification_id', x.notification_id, 'channel', x.channel, 'category', n.category, 'entity_type', n.entity_type,
             'entity_id', noti.masked(n.entity_id, NULL), 'message_id', n.message_id, 'source', x.source, 'kind', x.kind))) ORDER BY x.place) AS told
    INTO w
    FROM wanted x
    LEFT JOIN LATERAL (SELECT l.category, l.entity_type, l.entity_id, l.message_id
                         FROM noti.notifications_log l WHERE l.notification_id = x.notification_id LIMIT 1) AS n ON true;
  IF w.events > 0 THEN
    -- It is tried until the endpoint is disabled: what comes after it waits.
    INSERT INTO noti.notifications_log (tenant_id, channel, recipient, body, provider, category, entity_type, entity_id, max_retries, on_uncertain)
    VALUES (e.tenant_id, 'webhook', e.url,
            json_build_object('type', 'noti.events', 'timestamp', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                              'endpoint', e.name, 'tenant', e.tenant_id, 'events', w.told)::text,
            e.account, 'noti.event', 'endpoint', e.name, 1000, 'retry')
    RETURNING notification_id INTO id;
  END IF;
  IF w.events > 0 OR w.seen >= 500 THEN
    INSERT INTO noti.envelopes (endpoint_id, notification_id, after_place, last_place, events)
    VALUES (e.endpoint_id, id, next_envelope.after_place, w.last_place, w.events);
  END IF;
  RETURN w.events;
END $$;
