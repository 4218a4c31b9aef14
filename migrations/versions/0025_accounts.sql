-- Accounts of tenants, the routes through them, and their secrets, which are sealed before they come here.

CREATE SEQUENCE noti.versions;

-- Of what a provider must know all but its secrets. `channels` are those that it serves.
CREATE TABLE noti.accounts (
  tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
  name      text COLLATE "C" NOT NULL,
  provider  text NOT NULL,
  channels  text[] NOT NULL,
  settings  jsonb NOT NULL DEFAULT '{}',
  mode      text NOT NULL DEFAULT 'live',
  enabled   boolean NOT NULL DEFAULT true,
  version   bigint NOT NULL DEFAULT 0,              -- another one needs another sender; kept by a trigger
  set_by    text NOT NULL DEFAULT CURRENT_USER,
  set_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT accounts_pkey PRIMARY KEY (tenant_id, name),
  CONSTRAINT accounts_sane CHECK (
        tenant_id <> '' AND octet_length(tenant_id) <= 128 AND name ~ '^[a-z_]([_-]?[a-z0-9])*$' AND octet_length(name) <= 100
    AND provider <> '' AND octet_length(provider) <= 100 AND octet_length(set_by) <= 256
    AND cardinality(channels) BETWEEN 1 AND 8 AND channels <@ '{email,sms,whatsapp,push,voice,chat,webhook,in_app}'
    AND jsonb_typeof(settings) = 'object' AND pg_column_size(settings) <= 65536 AND mode IN ('live', 'redirect', 'dry'))
);
CREATE INDEX accounts_disabled ON noti.accounts (tenant_id) WHERE NOT enabled;

-- Which accounts of its own send a tenant's channel, in failover order. Two columns lead to the account, so that no route goes through
-- another tenant's. Where the account is NULL the installation's route goes on.
CREATE TABLE noti.routes (
  tenant_id text COLLATE "C" NOT NULL DEFAULT 'default',
  channel   text COLLATE "C" NOT NULL,
  position  int NOT NULL,
  account   text COLLATE "C",
  CONSTRAINT routes_pkey PRIMARY KEY (tenant_id, channel, position),
  CONSTRAINT routes_once UNIQUE NULLS NOT DISTINCT (tenant_id, channel, account),
  CONSTRAINT routes_account FOREIGN KEY (tenant_id, account) REFERENCES noti.accounts (tenant_id, name) ON DELETE CASCADE,
  CONSTRAINT routes_sane CHECK (
        channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app') AND position BETWEEN 1 AND 100)
);
CREATE INDEX routes_of_account ON noti.routes (tenant_id, account);

-- Sealed outside, for this tenant, account and purpose alone; `key_id` names the key. A table of its own: only workers may read it.
CREATE TABLE noti.secrets (
  tenant_id text COLLATE "C" NOT NULL,
  account   text COLLATE "C" NOT NULL,
  purpose   text COLLATE "C" NOT NULL,
  key_id    text NOT NULL,
  sealed    bytea NOT NULL,
  version   int NOT NULL DEFAULT 1,                 -- how often it was set; sealing it anew is no other secret
  set_by    text NOT NULL DEFAULT CURRENT_USER,
  set_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT secrets_pkey PRIMARY KEY (tenant_id, account, purpose),
  CONSTRAINT secrets_account FOREIGN KEY (tenant_id, account) REFERENCES noti.accounts (tenant_id, name) ON DELETE CASCADE,
  CONSTRAINT secrets_sane CHECK (
        purpose <> '' AND octet_length(purpose) <= 100 AND key_id <> '' AND octet_length(key_id) <= 64
    AND octet_length(sealed) >= 30 AND octet_length(sealed) <= 65636 AND octet_length(set_by) <= 256)
);

-- When each tenant's accounts were changed last, by numbers that only grow: what workers have not seen yet. Whoever changes accounts
-- waits for who is changing some, so that commits come in the order of the numbers.
CREATE TABLE noti.account_versions (
  tenant_id text COLLATE "C" NOT NULL,
  version   bigint NOT NULL,
  CONSTRAINT account_versions_pkey PRIMARY KEY (tenant_id)
);
CREATE INDEX account_versions_version ON noti.account_versions (version);

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
   WHERE t.status <> 'active'
  UNION ALL
  SELECT 'pause', 'account', '', (a.tenant_id || '/' || a.name) COLLATE "default", 'disabled: noti-worker account set --enable', a.set_by, a.set_at, NULL
    FROM noti.accounts a
   WHERE NOT a.enabled;
