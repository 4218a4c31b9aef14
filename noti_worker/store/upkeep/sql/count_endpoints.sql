-- The endpoints by their state, and the events that those that are enabled are not told yet (10,000 of one stand for more).
WITH behind AS MATERIALIZED (
    SELECT w.events, w.since
      FROM noti.endpoints e
     CROSS JOIN LATERAL (SELECT x.last_place FROM noti.envelopes x WHERE x.endpoint_id = e.endpoint_id ORDER BY x.envelope_id DESC LIMIT 1) AS v
     CROSS JOIN LATERAL (
           SELECT count(*) AS events, min(t.at) AS since
             FROM (SELECT n.at FROM noti.events n
                    WHERE n.tenant_id = e.tenant_id AND n.place IS NOT NULL AND n.place > v.last_place
                      AND (e.events = '{}' OR n.event = ANY (e.events)) AND (e.channels = '{}' OR n.channel = ANY (e.channels))
                    ORDER BY n.place LIMIT 10000) AS t) AS w
     WHERE e.state = 'enabled'
     UNION ALL
    SELECT count(*), min(t.at) FROM (SELECT n.at FROM noti.events n WHERE n.place IS NULL ORDER BY n.event_id LIMIT 10000) AS t
     WHERE EXISTS (SELECT FROM noti.endpoints))
SELECT count(*) FILTER (WHERE e.state = 'enabled') AS enabled,
       count(*) FILTER (WHERE e.state = 'enabled' AND e.failing_since IS NOT NULL) AS failing,
       count(*) FILTER (WHERE e.state = 'failed') AS failed,
       count(*) FILTER (WHERE e.state = 'disabled') AS disabled,
       (SELECT coalesce(sum(b.events), 0)::bigint FROM behind b) AS waiting,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(b.since)), 0)::float8 FROM behind b) AS oldest_seconds
  FROM noti.endpoints e;
