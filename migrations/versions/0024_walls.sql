-- How each table is shared. The logs are written by our own functions and by workers.
INSERT INTO noti.tenant_tables (name, reads, writes) VALUES
  ('notifications_log', 'mine', 'mine'),
  ('notification_attempts_log',
   '{mine} OR tenant_id IS NULL AND EXISTS (SELECT FROM noti.notifications_log n WHERE n.notification_id = notification_attempts_log.notification_id)', 'nobody'),
  ('audit_log', 'mine', 'nobody'),
  ('inbox', 'mine', 'mine'),
  ('templates', 'mine', 'mine'),
  ('attachments', 'mine', 'mine'),
  ('suppressions', 'mine', 'mine'),   -- those of all tenants hold addresses that another one may have brought
  ('categories', 'shared', 'mine'),
  ('replies', 'mine', 'mine'),
  ('receipts', 'mine', 'nobody'),
  ('receipts_raw', 'nobody', 'nobody'),   -- a request may speak of several tenants
  ('provider_references', 'nobody', 'nobody'),
  ('circuits', 'named', 'nobody'),
  ('limits', 'named', 'nobody'),     -- a tenant knows its limits, and does not set them
  ('buckets', 'named', 'nobody'),
  ('usage', 'named', 'nobody'),
  ('spent', 'named', 'nobody'),
  ('full_quotas', 'mine', 'nobody'),
  -- everybody knows what is paused for all, and who is bound pauses and resumes what is its own
  ('pauses',
   'tenant_id = '''' AND scope <> ''tenant'' AND (scope <> ''account'' OR strpos(name, ''/'') = 0 OR EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = quote_ident(current_user)::regrole AND starts_with(pauses.name, m.tenant_id || ''/''))) OR {mine} OR scope = ''tenant'' AND EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = quote_ident(current_user)::regrole AND m.tenant_id = pauses.name)',
   '{mine} OR scope = ''tenant'' AND EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = quote_ident(current_user)::regrole AND m.tenant_id = pauses.name)'),
  ('endpoints', 'mine', 'mine'),
  ('events', 'mine', 'nobody'),
  ('envelopes', 'EXISTS (SELECT FROM noti.endpoints e WHERE e.endpoint_id = envelopes.endpoint_id)', 'nobody'),
  ('tenants', 'mine', 'nobody'),      -- nobody ends a suspension of his own, or lifts a bound
  ('settings', 'mine', 'nobody'),
  ('tenant_members', 'role = quote_ident(current_user)::regrole', 'nobody'),
  ('tenant_lists', 'role = quote_ident(current_user)::regrole', 'nobody');
INSERT INTO noti.tenant_tables (name, reason) VALUES
  ('workers', 'which processes live; no row of a tenant is named by more than its number'),
  ('worker_routes', 'which accounts of the installation the living workers have'),
  ('duties', 'when which duty of the installation was done'),
  ('limits_revision', 'one number'),
  ('rights', 'what our roles may do'),
  ('tenant_tables', 'how tables are shared'),
  ('alembic_version', 'the version of the schema');
