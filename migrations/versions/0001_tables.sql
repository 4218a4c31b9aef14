-- The tables and their indexes. No foreign keys: from the logs to the hot table they would cost a row lock on every
-- recorded result; the same transaction writes both, and noti.assert_invariants() proves it.

-- ------------------------------------------------------------------------------------ notifications_log
-- The queue and the history. Lane columns are COLLATE "C": the worker orders lanes by bytes, too.
CREATE TABLE noti.notifications_log (
  notification_id bigint GENERATED ALWAYS AS IDENTITY,
  claimed_by      bigint,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  next_retry_at   timestamptz,
  send_at         timestamptz,
  expires_at      timestamptz,
  due_at          timestamptz GENERATED ALWAYS AS (coalesce(next_retry_at, send_at, created_at)) STORED,
  finished_at     timestamptz,
  held_at         timestamptz,
  sent_at         timestamptz,
  failed_at       timestamptz,
  lease_until     timestamptz,
  dispatched_at   timestamptz,
  message_id      uuid NOT NULL DEFAULT gen_random_uuid(),
  claim_count     int NOT NULL DEFAULT 0,
  attempt_count   int NOT NULL DEFAULT 0,
  lost_count      int NOT NULL DEFAULT 0,
  retry_count     int NOT NULL DEFAULT 0,
  max_retries     int NOT NULL DEFAULT 3,
  tenant_id       text COLLATE "C" NOT NULL DEFAULT 'default',
  channel         text COLLATE "C" NOT NULL,
  priority        text COLLATE "C" NOT NULL DEFAULT 'normal',
  status          text NOT NULL DEFAULT 'pending',
  requested       text,
  entity_type     text,
  entity_id       text,
  recipient       text NOT NULL,
  subject         text,
  body            text,
  template_id     text,
  template_data   jsonb,
  locale          text,
  error_message   text,
  idempotency_key text,
  category        text,
  provider        text,
  collapse_key    text,
  on_uncertain    text,
  options         jsonb,
  metadata        jsonb,
  traceparent     text,
  CONSTRAINT notifications_log_pkey PRIMARY KEY (notification_id),
  -- A wall, not a doorman: its error would print the whole row. The triggers refuse first, in words (noti.fault).
  -- It runs again at each claim: only comparisons and octet_length or pg_column_size, never a cast.
  CONSTRAINT notifications_log_sane CHECK (
        channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND priority IN ('low', 'normal', 'high', 'urgent')
    AND status IN ('pending', 'sending', 'retrying', 'held', 'sent', 'failed', 'cancelled', 'suppressed', 'expired', 'unknown')
    AND on_uncertain IN ('retry', 'hold', 'fail')
    AND (body IS NOT NULL OR template_id IS NOT NULL)
    AND (entity_type IS NULL) = (entity_id IS NULL)
    -- the label, the times and the claim tell the same story
    AND (finished_at IS NOT NULL) = (status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
    AND (held_at IS NOT NULL) = (status IN ('held', 'unknown'))
    AND (sent_at IS NOT NULL) = (status = 'sent')
    AND (failed_at IS NOT NULL) = (status = 'failed')
    AND (claimed_by IS NOT NULL) = (status = 'sending')
    AND (claimed_by IS NULL) = (lease_until IS NULL)
    AND (dispatched_at IS NULL OR claimed_by IS NOT NULL)
    AND (requested IS NULL OR (requested IN ('cancelled', 'held') AND claimed_by IS NOT NULL))
    -- one infinity, or one number at its end, must not poison a batch
    AND claim_count >= 0 AND claim_count <= 1000000000
    AND attempt_count >= 0 AND attempt_count <= 1000000000
    AND lost_count >= 0 AND lost_count <= 1000000
    AND retry_count >= 0 AND retry_count <= 1000000
    AND max_retries >= 0 AND max_retries <= 1000
    AND created_at >= '2000-01-01 00:00+00' AND created_at <= '2200-01-01 00:00+00'
    AND updated_at >= '2000-01-01 00:00+00' AND updated_at <= '2200-01-01 00:00+00'
    AND next_retry_at >= '2000-01-01 00:00+00' AND next_retry_at <= '2200-01-01 00:00+00'
    AND send_at >= '2000-01-01 00:00+00' AND send_at <= '2200-01-01 00:00+00'
    AND expires_at >= '2000-01-01 00:00+00' AND expires_at <= '2200-01-01 00:00+00'
    AND finished_at >= '2000-01-01 00:00+00' AND finished_at <= '2200-01-01 00:00+00'
    AND held_at >= '2000-01-01 00:00+00' AND held_at <= '2200-01-01 00:00+00'
    AND sent_at >= '2000-01-01 00:00+00' AND sent_at <= '2200-01-01 00:00+00'
    AND failed_at >= '2000-01-01 00:00+00' AND failed_at <= '2200-01-01 00:00+00'
    AND lease_until >= '2000-01-01 00:00+00' AND lease_until <= '2200-01-01 00:00+00'
    AND dispatched_at >= '2000-01-01 00:00+00' AND dispatched_at <= '2200-01-01 00:00+00'
    -- sizes in bytes
    AND octet_length(tenant_id) >= 1 AND octet_length(tenant_id) <= 128
    AND octet_length(recipient) >= 1 AND octet_length(recipient) <= 4096
    AND octet_length(entity_type) <= 128 AND octet_length(entity_id) <= 256
    AND octet_length(subject) <= 4096 AND octet_length(body) <= 1048576
    AND octet_length(template_id) <= 256 AND octet_length(locale) <= 64
    AND octet_length(idempotency_key) <= 256 AND octet_length(category) <= 256
    AND octet_length(provider) <= 256 AND octet_length(collapse_key) <= 256
    AND octet_length(traceparent) <= 256 AND octet_length(error_message) <= 8192
    AND pg_column_size(template_data) <= 262144 AND pg_column_size(options) <= 262144 AND pg_column_size(metadata) <= 262144)
) WITH (
  -- 45: a claimed copy fits on its own page, so that every claim of a bulk-inserted backlog is HOT (95 % at 50).
  fillfactor = 45, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

-- No index may name status, lease_until, claimed_by, claim_count or retry_count: the claim would not be HOT any more.
CREATE INDEX notifications_log_hot ON noti.notifications_log (channel, priority, tenant_id, due_at, notification_id)
  WHERE finished_at IS NULL AND held_at IS NULL;
CREATE UNIQUE INDEX notifications_log_idempotency ON noti.notifications_log (tenant_id, idempotency_key)
  WHERE idempotency_key IS NOT NULL;
CREATE INDEX notifications_log_entity ON noti.notifications_log (entity_type, entity_id) WHERE entity_id IS NOT NULL;
CREATE INDEX notifications_log_created ON noti.notifications_log (tenant_id, created_at);
CREATE INDEX notifications_log_finished ON noti.notifications_log (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX notifications_log_held ON noti.notifications_log (held_at) WHERE held_at IS NOT NULL;
CREATE INDEX notifications_log_failed ON noti.notifications_log (failed_at) WHERE failed_at IS NOT NULL;

-- ------------------------------------------------------------------------------------ the two logs
-- Only real tries; a decision not to send is an audit line. No query may rely on log_id or audit_id being unique:
-- both tables will be partitioned by time.
CREATE TABLE noti.notification_attempts_log (
  log_id              bigint GENERATED ALWAYS AS IDENTITY,
  notification_id     bigint NOT NULL,
  attempt_number      int NOT NULL,
  status              text NOT NULL,
  provider            text,
  account             text,
  kind                text,
  code                text,
  error_message       text,
  response_data       jsonb,
  provider_message_id text,
  started_at          timestamptz,
  duration_ms         bigint,
  worker              text,
  claim_count         int NOT NULL,
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT notification_attempts_log_pkey PRIMARY KEY (log_id),
  CONSTRAINT notification_attempts_log_status CHECK (status IN ('sent', 'retrying', 'failed', 'held', 'unknown', 'lost', 'stale'))
);
CREATE INDEX notification_attempts_log_notification ON noti.notification_attempts_log (notification_id);

CREATE TABLE noti.audit_log (
  audit_id       bigint GENERATED ALWAYS AS IDENTITY,
  tenant_id      text NOT NULL,
  entity_type    text NOT NULL,
  entity_id      text NOT NULL,
  action         text NOT NULL,
  action_by_type text NOT NULL,
  action_by      text NOT NULL,
  metadata       jsonb,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT audit_log_pkey PRIMARY KEY (audit_id)
);
CREATE INDEX audit_log_entity ON noti.audit_log (entity_id, entity_type);

-- ------------------------------------------------------------------------------------ content beside the row
CREATE TABLE noti.templates (
  tenant_id   text NOT NULL DEFAULT 'default',
  template_id text NOT NULL,
  subject     text,
  body        text,
  html        text,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT templates_pkey PRIMARY KEY (tenant_id, template_id),
  CONSTRAINT templates_body_or_html CHECK (body IS NOT NULL OR html IS NOT NULL),
  CONSTRAINT templates_sizes CHECK (octet_length(template_id) >= 1 AND octet_length(template_id) <= 256
    AND octet_length(subject) <= 4096 AND octet_length(body) <= 1048576 AND octet_length(html) <= 1048576)
);

CREATE TABLE noti.attachments (
  attachment_id uuid NOT NULL DEFAULT gen_random_uuid(),
  tenant_id     text NOT NULL DEFAULT 'default',
  filename      text NOT NULL,
  content_type  text NOT NULL DEFAULT 'application/octet-stream',
  content       bytea NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT attachments_pkey PRIMARY KEY (attachment_id),
  CONSTRAINT attachments_sizes CHECK (octet_length(filename) >= 1 AND octet_length(filename) <= 255
    AND octet_length(content_type) <= 255 AND octet_length(content) <= 10485760)
);

-- In-app messages as they were rendered, written by the same statement that records the row as sent.
CREATE TABLE noti.inbox (
  inbox_id        bigint GENERATED ALWAYS AS IDENTITY,
  notification_id bigint NOT NULL,
  tenant_id       text NOT NULL,
  recipient       text NOT NULL,
  subject         text,
  body            text,
  html            text,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  seen_at         timestamptz,
  read_at         timestamptz,
  CONSTRAINT inbox_pkey PRIMARY KEY (inbox_id),
  CONSTRAINT inbox_notification UNIQUE (notification_id)
);
CREATE INDEX inbox_recipient ON noti.inbox (tenant_id, recipient, created_at);

-- ------------------------------------------------------------------------------------ the workers
-- The sequence is logged and stands outside the unlogged table: after a crash ids go on, and living leases keep
-- their owner.
CREATE SEQUENCE noti.worker_ids;
CREATE UNLOGGED TABLE noti.workers (
  worker_id  bigint NOT NULL DEFAULT nextval('noti.worker_ids'),
  heartbeat  timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  host       text,
  pid        int,
  version    text,
  state      jsonb,
  CONSTRAINT workers_pkey PRIMARY KEY (worker_id)
);

CREATE TABLE noti.duties (
  duty        text NOT NULL,
  held_by     bigint,
  lease_until timestamptz,
  last_run    timestamptz,
  state       jsonb,
  CONSTRAINT duties_pkey PRIMARY KEY (duty)
);
