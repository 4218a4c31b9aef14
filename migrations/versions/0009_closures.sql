-- What is not sent now, and why: pauses, also of one tenant's channel, account or template, and the circuits of accounts.

-- Their scopes are words of their own: a worker of the version before ignores them instead of closing everybody's.
ALTER TABLE noti.pauses ADD COLUMN tenant_id text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE noti.pauses DROP CONSTRAINT pauses_pkey, ADD CONSTRAINT pauses_pkey PRIMARY KEY (scope, name, tenant_id);
ALTER TABLE noti.pauses DROP CONSTRAINT pauses_sane, ADD CONSTRAINT pauses_sane CHECK (
      scope IN ('everything', 'channel', 'account', 'tenant', 'template', 'tenant channel', 'tenant account', 'tenant template')
  AND (scope = 'everything') = (name = '')
  AND (scope LIKE 'tenant %') = (tenant_id <> '')
  AND (scope NOT IN ('channel', 'tenant channel') OR name IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app'))
  AND until >= '2000-01-01 00:00+00' AND until <= '2200-01-01 00:00+00'
  AND octet_length(name) <= 256 AND octet_length(reason) <= 4096 AND octet_length(tenant_id) <= 128
  AND octet_length(paused_by) >= 1 AND octet_length(paused_by) <= 256);

-- One row for each account that is or lately was in trouble; written when its state changes, never per send.
CREATE TABLE noti.circuits (
  scope       text NOT NULL DEFAULT 'account',
  tenant_id   text COLLATE "C" NOT NULL DEFAULT '',
  name        text NOT NULL,
  state       text NOT NULL DEFAULT 'open',
  reason      text,
  opened_by   text NOT NULL DEFAULT CURRENT_USER,
  openings    int NOT NULL DEFAULT 1,           -- in a row: each doubles the wait
  opened_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  wait        interval NOT NULL DEFAULT '30 seconds',
  longest     interval NOT NULL DEFAULT '10 minutes',
  retry_at    timestamptz NOT NULL,             -- when one message may try it
  probed_at   timestamptz,
  probe_by    bigint,
  probe_until timestamptz,
  closed_at   timestamptz,
  closed_by   text,
  CONSTRAINT circuits_pkey PRIMARY KEY (scope, tenant_id, name),
  CONSTRAINT circuits_sane CHECK (
        scope IN ('account', 'tenant account') AND (scope = 'tenant account') = (tenant_id <> '')
    AND state IN ('open', 'closed') AND (closed_at IS NOT NULL) = (state = 'closed')
    AND name <> '' AND octet_length(name) <= 256 AND octet_length(reason) <= 4096 AND octet_length(tenant_id) <= 128
    AND octet_length(opened_by) <= 256 AND octet_length(closed_by) <= 256
    AND wait >= interval '1 millisecond' AND longest <= interval '1 day'
    AND retry_at >= '2000-01-01 00:00+00' AND retry_at <= '2200-01-01 00:00+00')
);

-- Whatever keeps messages back, whoever closed it. Workers ask about once a second; `why` and people read the same.
CREATE VIEW noti.closures WITH (security_invoker = true) AS
  SELECT 'pause' AS cause, p.scope, p.tenant_id, p.name, p.reason, p.paused_by AS by, p.created_at AS since, p.until
    FROM noti.pauses p
   WHERE p.until IS NULL OR p.until > clock_timestamp()
  UNION ALL
  SELECT 'circuit', c.scope, c.tenant_id, c.name, c.reason, c.opened_by, c.opened_at, c.retry_at
    FROM noti.circuits c
   WHERE c.state = 'open';

DROP FUNCTION noti.pause(text, text, text, timestamptz, text);
DROP FUNCTION noti.resume(text, text, text);
DROP FUNCTION noti.pause_words(noti.pauses);
