DO $$ BEGIN PERFORM noti.isolate_tenants(false); END $$;
DELETE FROM noti.tenant_tables;
DROP TABLE noti.tenant_tables;
DROP TABLE noti.tenant_members;
DROP TABLE noti.tenant_lists;
ALTER TABLE noti.attachments DROP CONSTRAINT attachments_pkey, ADD CONSTRAINT attachments_pkey PRIMARY KEY (attachment_id);
ALTER TABLE noti.suppressions ALTER COLUMN tenant_id SET DEFAULT 'default';
ALTER TABLE noti.templates ALTER COLUMN tenant_id SET DEFAULT 'default';
ALTER TABLE noti.attachments ALTER COLUMN tenant_id SET DEFAULT 'default';
ALTER TABLE noti.notifications_log ALTER COLUMN tenant_id SET DEFAULT 'default';
-- operators and applications write again as they did
DO $$
DECLARE
  of record;
BEGIN
  FOR of IN SELECT r.* FROM noti.rights r WHERE r.role = 'noti_all_tenants' AND r.privilege IN ('UPDATE', 'DELETE') LOOP
    IF to_regrole(of.role) IS NOT NULL THEN
      EXECUTE format('REVOKE %s ON noti.%I FROM %I', of.privilege, of.object, of.role);
    END IF;
    DELETE FROM noti.rights r WHERE r.role = 'noti_operator' AND r.privilege = 'UPDATE' AND r.object = of.object AND of.privilege = 'UPDATE';
    INSERT INTO noti.rights VALUES ('noti_operator', of.privilege, of.object, '{}') ON CONFLICT DO NOTHING;
  END LOOP;
END $$;
DELETE FROM noti.rights r WHERE r.role = 'noti_app' AND r.privilege = 'UPDATE' AND r.object = 'replies';
INSERT INTO noti.rights VALUES ('noti_app', 'UPDATE', 'replies', '{}'), ('noti_app', 'DELETE', 'replies', '{}'), ('noti_app', 'DELETE', 'endpoints', '{}');
GRANT EXECUTE ON FUNCTION noti.pause, noti.resume, noti.heard TO PUBLIC;
DELETE FROM noti.rights
 WHERE role = 'noti_all_tenants' OR object IN ('tenant_members', 'tenant_lists', 'tenant_tables', 'isolated', 'unlimit', 'unset', 'remove_endpoint')
    OR object = 'notification_attempts_log' AND columns = '{tenant_id}';
DO $$ BEGIN
  IF to_regrole('noti_all_tenants') IS NOT NULL THEN
    REVOKE USAGE ON SCHEMA noti FROM noti_all_tenants;
  END IF;
END $$;
