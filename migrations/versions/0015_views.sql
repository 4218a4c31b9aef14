-- The workers that live, and their accounts, as before; a standby has none of them.
CREATE OR REPLACE VIEW noti.living WITH (security_invoker = true) AS
SELECT worker_id, state FROM noti.registered() WHERE heartbeat >= clock_timestamp() - interval '15 seconds';

CREATE OR REPLACE VIEW noti.living_routes WITH (security_invoker = true) AS
SELECT r.worker_id, r.channel, r.position, r.account, r.provider, r.mode
  FROM noti.registered_routes() r JOIN noti.living l ON l.worker_id = r.worker_id
UNION ALL
SELECT l.worker_id, of.channel, NULL, a.account, a.provider, coalesce(l.state->'modes'->>a.account, 'live')
  FROM noti.living l
 CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(l.state->'routes') = 'object' THEN l.state->'routes' END) AS of (channel, route)
 CROSS JOIN LATERAL jsonb_each_text(CASE WHEN jsonb_typeof(of.route) = 'object' THEN of.route END) AS a (account, provider)
 WHERE NOT EXISTS (SELECT FROM noti.registered_routes() r WHERE r.worker_id = l.worker_id);
