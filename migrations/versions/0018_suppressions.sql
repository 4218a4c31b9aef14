-- To whom nothing is sent, and why: entries are lifted, not deleted, and outlive the erasure of the address that they speak of.
CREATE TABLE noti.suppressions (
  suppression_id  bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id       text COLLATE "C" NOT NULL DEFAULT 'default',  -- '': of all tenants
  channel         text COLLATE "C" NOT NULL,
  address_hash    bytea NOT NULL,                               -- noti.address_hash(channel, address)
  address         text,                                         -- for people; gone when it was erased
  category        text COLLATE "C" NOT NULL DEFAULT '',         -- '': whatever the category
  reason          text COLLATE "C" NOT NULL,
  source          text NOT NULL DEFAULT 'application',          -- who told: answer, receipt, reply, import, …
  notification_id bigint,                                       -- what the newest report was about
  note            text,
  hits            int NOT NULL DEFAULT 1,                       -- how often it was reported
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  reported_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at      timestamptz,
  added_by        text NOT NULL DEFAULT noti.actor(),
  lifted_at       timestamptz,
  lifted_by       text,
  requested_by    text,                                         -- who asked for the lifting, and how
  CONSTRAINT suppressions_pkey PRIMARY KEY (suppression_id),
  CONSTRAINT suppressions_sane CHECK (
        channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND reason IN ('dead', 'optout', 'complaint', 'manual') AND hits >= 1
    AND octet_length(address_hash) = 32 AND octet_length(address) <= 4096 AND octet_length(tenant_id) <= 128
    AND octet_length(category) <= 256 AND octet_length(source) >= 1 AND octet_length(source) <= 64 AND octet_length(note) <= 4096
    AND octet_length(added_by) <= 256 AND octet_length(lifted_by) <= 256 AND octet_length(requested_by) <= 1024
    AND (lifted_at IS NULL) = (lifted_by IS NULL)
    AND expires_at >= '2000-01-01 00:00+00' AND expires_at <= '2200-01-01 00:00+00'),
  -- what a person asked for, the same person takes back
  CONSTRAINT suppressions_lifted_by_the_person CHECK (
    lifted_at IS NULL OR reason NOT IN ('optout', 'complaint') OR coalesce(octet_length(requested_by), 0) > 0)
);
-- Each reason is an entry of its own: that an address is dead passes, that its owner wants nothing does not.
-- The hash comes first: it alone finds the few entries of an address, whoever asks.
CREATE UNIQUE INDEX suppressions_live ON noti.suppressions (address_hash, tenant_id, channel, category, reason) WHERE lifted_at IS NULL;

-- What messages are about. One that is not here is neither mandatory nor can it be left.
CREATE TABLE noti.categories (
  tenant_id   text COLLATE "C" NOT NULL DEFAULT '',   -- '': of all tenants
  category    text COLLATE "C" NOT NULL,
  mandatory   boolean NOT NULL DEFAULT false,         -- goes out in spite of an opt-out
  can_be_left boolean NOT NULL DEFAULT false,         -- the recipient may leave it, and it alone
  CONSTRAINT categories_pkey PRIMARY KEY (tenant_id, category),
  CONSTRAINT categories_sane CHECK (
    NOT (mandatory AND can_be_left) AND octet_length(category) >= 1 AND octet_length(category) <= 256 AND octet_length(tenant_id) <= 128)
);

-- When somebody last wrote to us through an account: WhatsApp takes free text for a day after that.
CREATE TABLE noti.replies (
  tenant_id    text COLLATE "C" NOT NULL,             -- '': several send through the account
  account      text COLLATE "C" NOT NULL,
  channel      text COLLATE "C" NOT NULL,
  address_hash bytea NOT NULL,
  heard_at     timestamptz NOT NULL,
  CONSTRAINT replies_pkey PRIMARY KEY (tenant_id, account, channel, address_hash),
  CONSTRAINT replies_sane CHECK (octet_length(address_hash) = 32 AND octet_length(account) >= 1 AND octet_length(account) <= 256
    AND octet_length(tenant_id) <= 128 AND octet_length(channel) <= 64)
);
CREATE INDEX replies_heard ON noti.replies (tenant_id, account, heard_at);
