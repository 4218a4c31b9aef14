-- Whom to tell what became of messages: a URL of a tenant, which gets events as signed webhooks.
CREATE TABLE noti.endpoints (
  endpoint_id   bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id     text COLLATE "C" NOT NULL DEFAULT 'default',
  name          text NOT NULL,
  url           text NOT NULL,
  events        text[] NOT NULL DEFAULT '{}',   -- empty: all
  channels      text[] NOT NULL DEFAULT '{}',   -- empty: all
  account       text,                           -- which account sends and signs; NULL: as the route of webhooks says
  owner_channel text,
  owner         text,                           -- the address that is told when it fails for too long
  state         text NOT NULL DEFAULT 'enabled',
  state_since   timestamptz NOT NULL DEFAULT clock_timestamp(),
  state_reason  text,
  failing_since timestamptz,
  error         text,                           -- why nothing could be queued for it
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT endpoints_pkey PRIMARY KEY (endpoint_id),
  CONSTRAINT endpoints_name UNIQUE (tenant_id, name),
  -- What becomes a notification is no longer than one takes: whoever makes them does it for all tenants.
  CONSTRAINT endpoints_sane CHECK (
        name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' AND octet_length(tenant_id) >= 1 AND octet_length(tenant_id) <= 128
    AND url ~ '^https?://[^/[:space:]]' AND url !~ '[[:space:]]' AND octet_length(url) <= 4096
    AND events <@ '{sent,failed,expired,suppressed,cancelled,held,unknown,delivered,read,soft_bounced,bounced,complained,unsubscribed}'::text[]
    AND channels <@ '{email,sms,whatsapp,push,voice,chat,webhook,in_app}'::text[]
    AND cardinality(events) <= 32 AND cardinality(channels) <= 32
    AND octet_length(account) >= 1 AND octet_length(account) <= 256
    AND (owner IS NULL) = (owner_channel IS NULL) AND octet_length(owner) >= 1 AND octet_length(owner) <= 4096
    AND owner_channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND state IN ('enabled', 'disabled', 'failed') AND octet_length(state_reason) <= 4096 AND octet_length(error) <= 4096)
);

-- What happened, of tenants with an endpoint that wants to hear it: written by whatever made it happen. A place in the order is given
-- afterwards, to what is committed, so that nothing can slip in before it; kept for those who want to hear it again.
CREATE TABLE noti.events (
  event_id        bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id       text COLLATE "C" NOT NULL,
  notification_id bigint NOT NULL,
  channel         text NOT NULL,
  event           text NOT NULL,
  source          text NOT NULL,       -- worker, receipt, person
  kind            text,                -- how the last try ended
  at              timestamptz NOT NULL DEFAULT clock_timestamp(),
  place           bigint,
  CONSTRAINT events_pkey PRIMARY KEY (event_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX events_unplaced ON noti.events (event_id) WHERE place IS NULL;
CREATE INDEX events_place ON noti.events (tenant_id, place) WHERE place IS NOT NULL;
CREATE INDEX events_notification ON noti.events (notification_id);
CREATE SEQUENCE noti.event_places;

-- What an endpoint was told: the events behind `after_place` up to `last_place`, in one notification. The newest says where it stands;
-- one without a notification only moves it. Nothing here is written anew for each, which an old snapshot would keep.
CREATE TABLE noti.envelopes (
  envelope_id     bigint GENERATED ALWAYS AS IDENTITY,
  endpoint_id     bigint NOT NULL,
  notification_id bigint,
  after_place     bigint NOT NULL,
  last_place      bigint NOT NULL,
  events          int NOT NULL DEFAULT 0,
  made_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT envelopes_pkey PRIMARY KEY (envelope_id)
);
CREATE INDEX envelopes_endpoint ON noti.envelopes (endpoint_id, envelope_id);
CREATE INDEX envelopes_place ON noti.envelopes (endpoint_id, last_place);
