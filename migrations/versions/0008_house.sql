-- What later steps build on: how an answer was judged, which accounts each worker has, and whether a row said its retries.

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

-- Whether max_retries was given with the row. If not, the channel's setting counts; workers of the version before see 3.
ALTER TABLE noti.notifications_log ADD COLUMN retries_said boolean NOT NULL DEFAULT true;
