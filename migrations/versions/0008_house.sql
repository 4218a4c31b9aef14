-- What later steps build on: how an answer was judged, which accounts each worker has, whether a row said its retries,
-- and what keeps a row from being sent, cause by cause.

-- With stage, scope and rule a try can be judged again by other rules.
ALTER TABLE noti.notification_attempts_log ADD COLUMN stage text, ADD COLUMN scope text, ADD COLUMN rule text;

-- The accounts of each worker's routes, in failover order; written when they change. A heartbeat would cut a long list.
-- Unlogged as the register itself: whoever enters the register again writes them again.
CREATE UNLOGGED TABLE noti.worker_routes (
  worker_id bigint NOT NULL,
  channel   text NOT NULL,
  position  int NOT NULL,
  account   text NOT NULL,
  provider  text NOT NULL,
  mode      text NOT NULL,
  CONSTRAINT worker_routes_pkey PRIMARY KEY (worker_id, channel, position)
);

-- The workers that live: their hearts beat every two seconds.
CREATE VIEW noti.living WITH (security_invoker = true) AS
SELECT worker_id, state FROM noti.workers WHERE heartbeat >= clock_timestamp() - interval '15 seconds';

-- The accounts on the routes of living workers. Those of the version before tell them in their state, without an order.
CREATE VIEW noti.living_routes WITH (security_invoker = true) AS
SELECT r.worker_id, r.channel, r.position, r.account, r.provider, r.mode
  FROM noti.worker_routes r JOIN noti.living l ON l.worker_id = r.worker_id
UNION ALL
SELECT l.worker_id, of.channel, NULL, a.account, a.provider, coalesce(l.state->'modes'->>a.account, 'live')
  FROM noti.living l
 CROSS JOIN LATERAL jsonb_each(CASE WHEN jsonb_typeof(l.state->'routes') = 'object' THEN l.state->'routes' END) AS of (channel, route)
 CROSS JOIN LATERAL jsonb_each_text(CASE WHEN jsonb_typeof(of.route) = 'object' THEN of.route END) AS a (account, provider)
 WHERE NOT EXISTS (SELECT FROM noti.worker_routes r WHERE r.worker_id = l.worker_id);

-- One cause that keeps a row from being sent now. `words` are for a person, the rest for programs; `code` tells more
-- where a cause has kinds.
CREATE TYPE noti.obstacle AS (
  cause text, scope text, name text, since timestamptz, until timestamptz, by text, words text, code text);

-- Whether max_retries was given with the row. If not, the channel's setting counts; workers of the version before see 3.
-- Not given arrives as NULL, which the trigger notifications_log_max_retries fills in.
ALTER TABLE noti.notifications_log ADD COLUMN retries_said boolean NOT NULL DEFAULT true, ALTER COLUMN max_retries DROP DEFAULT;

-- Who may do what: rows (role, privilege, object, columns), to which each migration adds its own. `columns` is empty when the
-- privilege is on the whole object; the privilege EXECUTE is on a function, and `noti` is the schema.
CREATE TABLE noti.rights (
  role      text NOT NULL,
  privilege text NOT NULL,
  object    text NOT NULL,
  columns   text[] NOT NULL DEFAULT '{}',
  CONSTRAINT rights_pkey PRIMARY KEY (role, privilege, object, columns)
);
