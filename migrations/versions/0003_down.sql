-- Back to two plain tables, with every line that is still there. Lines are copied.
DROP FUNCTION noti.assert_invariants();
DROP FUNCTION noti.attachment_named(uuid);
DROP INDEX noti.notifications_log_attachments, noti.attachments_created;

CREATE FUNCTION pg_temp.noti_regrant(old regclass, new regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT x.privilege_type, x.grantee, x.is_grantable, NULL::name AS of
      FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x WHERE c.oid = old AND x.grantee <> c.relowner
    UNION ALL
    SELECT x.privilege_type, x.grantee, x.is_grantable, a.attname
      FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x WHERE a.attrelid = old AND NOT a.attisdropped
  LOOP
    EXECUTE format('GRANT %s%s ON TABLE %s TO %s%s', one.privilege_type, '(' || quote_ident(one.of) || ')', new,
      CASE one.grantee WHEN 0 THEN 'PUBLIC' ELSE one.grantee::regrole::text END,
      CASE WHEN one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
END $$;

DO $$
DECLARE
  log  text;
  key  text;
  next bigint;
BEGIN
  FOREACH log IN ARRAY ARRAY['notification_attempts_log', 'audit_log'] LOOP
    key := CASE log WHEN 'audit_log' THEN 'audit_id' ELSE 'log_id' END;
    EXECUTE format('LOCK TABLE noti.%I IN ACCESS EXCLUSIVE MODE', log);
    EXECUTE format('SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM noti.%I', log || '_' || key || '_seq') INTO next;
    EXECUTE format('CREATE TABLE noti.%1$I (LIKE noti.%2$I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', log || '_plain', log);
    EXECUTE format('INSERT INTO noti.%1$I SELECT * FROM noti.%2$I', log || '_plain', log);
    EXECUTE format('ALTER TABLE noti.%I OWNER TO %s', log || '_plain',
      (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = format('noti.%I', log)::regclass));
    PERFORM pg_temp.noti_regrant(format('noti.%I', log)::regclass, format('noti.%I', log || '_plain')::regclass);
    EXECUTE format('DROP TABLE noti.%I', log);
    EXECUTE format('ALTER TABLE noti.%I RENAME TO %I', log || '_plain', log);
    EXECUTE format('ALTER TABLE noti.%I ALTER COLUMN %I ADD GENERATED ALWAYS AS IDENTITY', log, key);
    PERFORM setval(pg_get_serial_sequence(format('noti.%I', log), key), next, false);
    EXECUTE format('ALTER TABLE noti.%I ADD CONSTRAINT %I PRIMARY KEY (%I)', log, log || '_pkey', key);
  END LOOP;
END $$;
DROP FUNCTION pg_temp.noti_regrant(regclass, regclass);

CREATE INDEX notification_attempts_log_notification ON noti.notification_attempts_log (notification_id);
CREATE INDEX audit_log_entity ON noti.audit_log (entity_id, entity_type);
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON noti.audit_log FOR EACH ROW EXECUTE FUNCTION noti.on_audit_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON noti.audit_log FOR EACH STATEMENT EXECUTE FUNCTION noti.on_audit_change();

DROP FUNCTION noti.drop_log_partition(text, timestamptz), noti.settle_default_partition(text), noti.add_log_partitions(timestamptz, int),
  noti.attach_log_partition(text, text, text), noti.log_partitions();
