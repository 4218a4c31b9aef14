-- What a provider posted, as it came; whoever stores it has seen that it is the provider's. A task reads it.
CREATE TABLE noti.receipts_raw (
  raw_id      bigint GENERATED ALWAYS AS IDENTITY,
  account     text NOT NULL,
  provider    text NOT NULL,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  query       text NOT NULL DEFAULT '',
  headers     jsonb NOT NULL DEFAULT '{}',
  body        bytea NOT NULL,
  read_at     timestamptz,
  error       text,                  -- why it could not be read
  CONSTRAINT receipts_raw_pkey PRIMARY KEY (raw_id),
  CONSTRAINT receipts_raw_sizes CHECK (octet_length(body) <= 1048576 AND octet_length(query) <= 65536 AND pg_column_size(headers) <= 65536)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX receipts_raw_unread ON noti.receipts_raw (raw_id) WHERE read_at IS NULL;

-- What it said, one line for each thing that it said of one message, and for each reply. `event` is the provider's own id of it.
CREATE TABLE noti.receipts (
  receipt_id      bigint GENERATED ALWAYS AS IDENTITY,
  account         text NOT NULL,
  provider        text NOT NULL,
  event           text NOT NULL,
  kind            text NOT NULL,
  at              timestamptz NOT NULL,
  notification_id bigint,
  message_id      uuid,                -- the one that came back, until the notification is found
  reference       text,                -- the provider's id of the message, where that is all there is
  tenant_id       text COLLATE "C",    -- of the notification, once it is found
  recipient       text,                -- whom it names, unless that is the notification's own
  address_hash    bytea,               -- of a soft bounce: they are counted by address
  code            text,
  words           text,
  raw_id          bigint,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  look_at         timestamptz,         -- parked: when its notification is looked for again
  looks           int NOT NULL DEFAULT 0,
  CONSTRAINT receipts_pkey PRIMARY KEY (receipt_id),
  CONSTRAINT receipts_once UNIQUE (account, event),
  CONSTRAINT receipts_sane CHECK (
    kind IN ('deferred', 'delivered', 'read', 'soft_bounced', 'unsubscribed', 'failed', 'bounced', 'complained', 'replied')
    AND octet_length(event) <= 512 AND octet_length(reference) <= 1024 AND octet_length(recipient) <= 4096
    AND octet_length(code) <= 512 AND octet_length(words) <= 4096)
);
CREATE INDEX receipts_notification ON noti.receipts (notification_id) WHERE notification_id IS NOT NULL;
CREATE INDEX receipts_parked ON noti.receipts (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX receipts_soft ON noti.receipts (address_hash, at) WHERE address_hash IS NOT NULL;

-- The ids that a provider gave to messages, only of accounts whose receipts know nothing else of them.
CREATE TABLE noti.provider_references (
  reference_id    bigint GENERATED ALWAYS AS IDENTITY,
  reference       text NOT NULL,
  account         text NOT NULL,
  notification_id bigint NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT provider_references_pkey PRIMARY KEY (reference_id)
);
CREATE INDEX provider_references_reference ON noti.provider_references USING hash (reference);

-- The worst that was said of the message afterwards: unsubscribed, failed, bounced or complained, and when. Nothing else touches a
-- row that is over: a cold page costs ten times as much as a line in noti.receipts.
ALTER TABLE noti.notifications_log ADD COLUMN receipt text, ADD COLUMN receipt_at timestamptz;
