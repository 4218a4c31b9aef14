-- The endpoints of a tenant (NULL: of all), how each is, what it was told last, and what it is not told yet (10,000 stand for more).
\set tenant NULL
\set name NULL
SELECT e.endpoint_id, e.tenant_id, e.name, e.url, e.events, e.channels, e.account, e.owner_channel, e.owner, e.state, e.state_since,
       e.state_reason, e.failing_since, coalesce(e.error, n.error_message) AS error, v.notification_id, n.status, w.waiting
  FROM noti.endpoints e
  LEFT JOIN LATERAL (
       SELECT x.notification_id, x.last_place FROM noti.envelopes x
        WHERE x.endpoint_id = e.endpoint_id ORDER BY x.envelope_id DESC LIMIT 1) AS v ON true
  LEFT JOIN LATERAL (
       SELECT l.status, noti.masked(l.error_message, l.recipient) AS error_message FROM noti.notifications_log l
        WHERE l.notification_id = v.notification_id LIMIT 1) AS n ON true
 CROSS JOIN LATERAL (
       SELECT count(*) AS waiting
         FROM (SELECT FROM noti.events t
                WHERE t.tenant_id = e.tenant_id AND t.place IS NOT NULL AND t.place > v.last_place
                  AND (e.events = '{}' OR t.event = ANY (e.events)) AND (e.channels = '{}' OR t.channel = ANY (e.channels))
                LIMIT 10000) AS t) AS w
 WHERE (cast(:tenant AS text) IS NULL OR e.tenant_id = cast(:tenant AS text))
   AND (cast(:name AS text) IS NULL OR e.name = cast(:name AS text))
 ORDER BY e.tenant_id, e.name;
