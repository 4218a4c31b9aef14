DO $$ BEGIN PERFORM noti.isolate_tenants(false); END $$;
DELETE FROM noti.tenant_tables;
DROP TABLE noti.tenant_tables;
DROP TABLE noti.tenant_members;
ALTER TABLE noti.attachments DROP CONSTRAINT attachments_pkey, ADD CONSTRAINT attachments_pkey PRIMARY KEY (attachment_id);
ALTER TABLE noti.suppressions ALTER COLUMN tenant_id SET DEFAULT 'default';
ALTER TABLE noti.templates ALTER COLUMN tenant_id SET DEFAULT 'default';
ALTER TABLE noti.attachments ALTER COLUMN tenant_id SET DEFAULT 'default';
ALTER TABLE noti.notifications_log ALTER COLUMN tenant_id SET DEFAULT 'default';
DELETE FROM noti.rights
 WHERE role = 'noti_all_tenants' OR object IN ('tenant_members', 'tenant_tables', 'isolated')
    OR object = 'notification_attempts_log' AND columns = '{tenant_id}';
DO $$ BEGIN
  IF to_regrole('noti_all_tenants') IS NOT NULL THEN
    REVOKE USAGE ON SCHEMA noti FROM noti_all_tenants;
  END IF;
END $$;
