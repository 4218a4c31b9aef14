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
  ('circuits', 'shared', 'nobody'),
  ('limits', 'shared', 'nobody'),     -- a tenant knows its limits, and does not set them
  ('buckets', 'shared', 'nobody'),
  ('usage', 'shared', 'nobody'),
  ('spent', 'shared', 'nobody'),
  ('full_quotas', 'mine', 'nobody'),
  -- everybody knows what is paused for all, and who is bound pauses and resumes what is its own
  ('pauses',
   'tenant_id = '''' AND scope <> ''tenant'' OR {mine} OR scope = ''tenant'' AND EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = quote_ident(current_user)::regrole AND m.tenant_id = pauses.name)',
   '{mine} OR scope = ''tenant'' AND EXISTS (SELECT FROM noti.tenant_members m WHERE m.role = quote_ident(current_user)::regrole AND m.tenant_id = pauses.name)'),
  ('tenant_members', 'role = quote_ident(current_user)::regrole', 'nobody');
INSERT INTO noti.tenant_tables (name, reason) VALUES
  ('workers', 'which processes live; no row of a tenant is named by more than its number'),
  ('worker_routes', 'which accounts of the installation the living workers have'),
  ('duties', 'when which duty of the installation was done'),
  ('limits_revision', 'one number'),
  ('rights', 'what our roles may do'),
  ('tenant_tables', 'how tables are shared'),
  ('alembic_version', 'the version of the schema');
