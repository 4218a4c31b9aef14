-- How many may be sent: rates and quotas of accounts and of tenants' channels, exact over all workers.

-- What may be sent, by row; accounts may have a limit in the workers' configuration besides, and a row goes before that.
CREATE TABLE noti.limits (
  scope        text NOT NULL,
  tenant_id    text COLLATE "C" NOT NULL DEFAULT '',
  name         text NOT NULL,                       -- the account, the channel, or the domain or host
  period       text NOT NULL DEFAULT '',            -- empty: a rate, so many every so often; else a quota of each day or month
  amount       bigint NOT NULL,
  every        interval,
  burst        bigint,                              -- how many at once; NULL: what a tenth of a second brings, at least 1
  zone         text NOT NULL DEFAULT 'UTC',         -- in which the days and months of a quota begin
  when_spent   text NOT NULL DEFAULT 'wait',        -- what is inserted once a quota is used up waits, or is refused
  double_every interval,                            -- a quota that grows: twice as much so often
  set_by       text NOT NULL DEFAULT CURRENT_USER,
  set_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT limits_pkey PRIMARY KEY (scope, tenant_id, name, period),
  CONSTRAINT limits_sane CHECK (
        scope IN ('account', 'tenant channel', 'destination') AND (scope = 'tenant channel') = (tenant_id <> '')
    AND (scope <> 'tenant channel' OR name IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app'))
    AND (scope <> 'destination' OR period = '' AND name = lower(name COLLATE "C"))
    AND period IN ('', 'day', 'month') AND (period = '') = (every IS NOT NULL) AND (period = '' OR burst IS NULL)
    AND amount >= 1 AND amount <= 1000000000 AND burst >= 1 AND burst <= 1000000000
    AND every >= interval '1 millisecond' AND every <= interval '1 day'
    AND when_spent IN ('wait', 'refuse') AND (when_spent = 'wait' OR scope = 'tenant channel' AND period <> '')
    AND (double_every IS NULL OR period = 'day' AND when_spent = 'wait' AND double_every >= interval '1 hour' AND double_every <= interval '366 days')
    AND name <> '' AND octet_length(name) <= 256 AND octet_length(tenant_id) <= 128 AND octet_length(zone) <= 64
    AND octet_length(set_by) <= 256)
);

-- How often they were changed. Workers look at it once a second; who changes a limit waits for who is changing one.
CREATE TABLE noti.limits_revision (
  revision bigint NOT NULL,
  CONSTRAINT limits_revision_pkey PRIMARY KEY (revision)
);
INSERT INTO noti.limits_revision VALUES (1);

-- The buckets, as the last take left them. Never updated in place: under an old snapshot each take would have to walk all versions
-- of the row. The newest row of a bucket counts, and the one before it is deleted. Unlogged: a take costs no WAL and no fsync, and
-- after a crash a bucket begins empty, so that no more goes out than may.
CREATE UNLOGGED TABLE noti.buckets (
  scope     text NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  name      text NOT NULL,
  n         bigint NOT NULL,
  rate      float8 NOT NULL,       -- tokens a second, as configured
  burst     bigint NOT NULL,
  tokens    float8 NOT NULL,
  filled_at timestamptz NOT NULL,
  pace      float8 NOT NULL,       -- the part of the rate that was left when it was slowed
  slowed_at timestamptz,
  CONSTRAINT buckets_pkey PRIMARY KEY (scope, tenant_id, name, n)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What is used of quotas, written in the same way. Logged: a month must survive a crash. What was handed out and not given back
-- counts as used.
CREATE TABLE noti.usage (
  scope     text NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  name      text NOT NULL,
  period    text NOT NULL,
  n         bigint NOT NULL,
  since     date NOT NULL,         -- the first day of the day or month, in the zone of the quota
  until     timestamptz NOT NULL,
  amount    bigint NOT NULL,
  taken     bigint NOT NULL,
  began     date NOT NULL,         -- the first day of all: what a growing quota grows from
  told      int NOT NULL DEFAULT 0, -- in this period: 1 that most of it is used, 2 that all is
  CONSTRAINT usage_pkey PRIMARY KEY (scope, tenant_id, name, period, n)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Quotas that are used up, until when: few, so that a look at all that is closed does not read all quotas.
CREATE TABLE noti.spent (
  scope     text NOT NULL,
  tenant_id text COLLATE "C" NOT NULL,
  name      text NOT NULL,
  period    text NOT NULL,
  amount    bigint NOT NULL,
  since     timestamptz NOT NULL DEFAULT clock_timestamp(),
  until     timestamptz NOT NULL,
  CONSTRAINT spent_pkey PRIMARY KEY (scope, tenant_id, name, period)
);

-- Quotas that what waits will use up: more is refused at insert. Written by workers about once a second.
CREATE TABLE noti.full_quotas (
  tenant_id text COLLATE "C" NOT NULL,
  channel   text NOT NULL,
  period    text NOT NULL,
  amount    bigint NOT NULL,
  until     timestamptz NOT NULL,
  CONSTRAINT full_quotas_pkey PRIMARY KEY (tenant_id, channel, period)
);

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
   WHERE s.until > clock_timestamp();
