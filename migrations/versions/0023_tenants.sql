-- Tenants: who is suspended, what a tenant may do at most, and its settings.

-- A tenant without a row here is active and has no limits: who has one tenant need not know of this.
CREATE TABLE noti.tenants (
  tenant_id        text COLLATE "C" NOT NULL,
  status           text NOT NULL DEFAULT 'active',     -- suspended: nothing of it is sent; removing: nothing is taken either
  reason           text,                               -- why it is not active
  status_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  status_by        text NOT NULL DEFAULT CURRENT_USER,
  -- NULL: as much, or as many kinds, as anybody likes
  waiting_rows     bigint,                             -- unfinished notifications
  waiting_bytes    bigint,                             -- what their contents take as they are stored
  highest_priority text,
  channels         text[],
  providers        text[],                             -- accounts, or providers whose accounts all may be used
  senders          text[],                             -- what options.from may be: addresses, *@domain, or numbers and names for phones
  hosts            text[],                             -- where webhooks may go: hosts, or *.domain
  refuses          text,                               -- which of the two bounds on what waits is reached; workers write it
  set_by           text NOT NULL DEFAULT CURRENT_USER,
  set_at           timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  bounded          boolean NOT NULL GENERATED ALWAYS AS (   -- an insert has to look at it
    status = 'removing' OR num_nonnulls(waiting_rows, waiting_bytes, highest_priority, channels, providers, senders, hosts) > 0) STORED,
  CONSTRAINT tenants_pkey PRIMARY KEY (tenant_id),
  CONSTRAINT tenants_sane CHECK (
        tenant_id <> '' AND octet_length(tenant_id) <= 128 AND status IN ('active', 'suspended', 'removing')
    AND octet_length(reason) <= 4096 AND octet_length(status_by) <= 256 AND octet_length(set_by) <= 256
    AND waiting_rows >= 1 AND waiting_bytes >= 1
    AND highest_priority IN ('low', 'normal', 'high', 'urgent')
    AND channels <@ '{email,sms,whatsapp,push,voice,chat,webhook,in_app}' AND cardinality(channels) >= 1
    AND cardinality(providers) BETWEEN 1 AND 100 AND cardinality(senders) BETWEEN 1 AND 100 AND cardinality(hosts) BETWEEN 1 AND 100
    AND pg_column_size(providers) <= 32768 AND pg_column_size(senders) <= 32768 AND pg_column_size(hosts) <= 32768
    AND refuses IN ('rows', 'bytes'))
);
CREATE INDEX tenants_closed ON noti.tenants (tenant_id) WHERE status <> 'active';
CREATE INDEX tenants_bounded ON noti.tenants (tenant_id) WHERE bounded;

-- What is set for one tenant. Which keys there are, noti.on_odd_setting says; flag.* is the application's own.
CREATE TABLE noti.settings (
  tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
  key       text COLLATE "C" NOT NULL,
  value     jsonb NOT NULL,
  set_by    text NOT NULL DEFAULT CURRENT_USER,
  set_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT settings_pkey PRIMARY KEY (tenant_id, key),
  CONSTRAINT settings_sane CHECK (
        tenant_id <> '' AND octet_length(tenant_id) <= 128 AND octet_length(key) BETWEEN 1 AND 128
    AND jsonb_typeof(value) IN ('string', 'number', 'boolean') AND pg_column_size(value) <= 4096 AND octet_length(set_by) <= 256)
);
CREATE INDEX settings_key ON noti.settings (key, tenant_id);

CREATE OR REPLACE VIEW noti.closures WITH (security_invoker = true) AS
  SELECT 'pause' AS cause, p.scope, p.tenant_id, p.name, p.reason, p.paused_by AS by, p.created_at AS since, p.until
    FROM noti.pauses p
   WHERE p.until IS NULL OR p.until > clock_timestamp()
  UNION ALL
  SELECT 'circuit', c.scope, c.tenant_id, c.name, c.reason, c.opened_by, c.opened_at, c.retry_at
    FROM noti.circuits c
   WHERE c.state = 'open'
  UNION ALL
  SELECT 'quota', s.scope, s.tenant_id, s.name, 'all ' || s.amount::text || ' of this ' || s.period || ' are used', NULL, s.since, s.until
    FROM noti.spent s
   WHERE s.until > clock_timestamp()
  UNION ALL
  SELECT 'suspended', 'tenant', '', t.tenant_id COLLATE "default", t.reason, t.status_by, t.status_at, NULL
    FROM noti.tenants t
   WHERE t.status <> 'active';
