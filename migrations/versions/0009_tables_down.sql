DROP VIEW noti.closures;
DROP TABLE noti.circuits;
-- What is closed for one tenant alone is not known there.
DELETE FROM noti.pauses WHERE tenant_id <> '';
ALTER TABLE noti.pauses DROP CONSTRAINT pauses_sane, DROP CONSTRAINT pauses_pkey;
ALTER TABLE noti.pauses DROP COLUMN tenant_id;
ALTER TABLE noti.pauses ADD CONSTRAINT pauses_pkey PRIMARY KEY (scope, name), ADD CONSTRAINT pauses_sane CHECK (
      scope IN ('everything', 'channel', 'account', 'tenant', 'template')
  AND (scope = 'everything') = (name = '')
  AND (scope <> 'channel' OR name IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app'))
  AND until >= '2000-01-01 00:00+00' AND until <= '2200-01-01 00:00+00'
  AND octet_length(name) <= 256 AND octet_length(reason) <= 4096
  AND octet_length(paused_by) >= 1 AND octet_length(paused_by) <= 256);
