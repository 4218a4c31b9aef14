-- How many may be sent: rates of accounts and of tenants' channels, exact over all workers.

-- What may be sent, by row; accounts may have a limit in the workers' configuration besides, and a row goes before that.
CREATE TABLE noti.limits (
  scope      text NOT NULL,
  tenant_id  text COLLATE "C" NOT NULL DEFAULT '',
  name       text NOT NULL,                        -- the account, or the channel
  period     text NOT NULL DEFAULT '',             -- empty: a rate, so many every so often
  amount     bigint NOT NULL,
  every      interval,
  burst      bigint,                               -- how many at once; NULL: what a tenth of a second brings, at least 1
  set_by     text NOT NULL DEFAULT CURRENT_USER,
  set_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT limits_pkey PRIMARY KEY (scope, tenant_id, name, period),
  CONSTRAINT limits_sane CHECK (
        scope IN ('account', 'tenant channel') AND (scope = 'tenant channel') = (tenant_id <> '')
    AND (scope <> 'tenant channel' OR name IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app'))
    AND period IN ('') AND (period = '') = (every IS NOT NULL) AND (period = '' OR burst IS NULL)
    AND amount >= 1 AND amount <= 1000000000 AND burst >= 1 AND burst <= 1000000000
    AND every >= interval '1 millisecond' AND every <= interval '1 day'
    AND name <> '' AND octet_length(name) <= 256 AND octet_length(tenant_id) <= 128 AND octet_length(set_by) <= 256)
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
