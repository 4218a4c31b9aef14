-- Both logs become partitioned by month. What is in them is not copied: the table becomes the first partition, up to
-- the end of this month; its new primary key is built meanwhile, about a minute for a hundred million lines.

-- Rights that were granted on one table, granted on another.
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
  log      text;
  key      text;
  indexed  text;
  old      text;
  view     text;
  next     bigint;
  filled   boolean;
  until    timestamptz;
BEGIN
  PERFORM set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true);
  FOREACH log IN ARRAY ARRAY['notification_attempts_log', 'audit_log'] LOOP
    key     := CASE log WHEN 'audit_log' THEN 'audit_id' ELSE 'log_id' END;
    indexed := CASE log WHEN 'audit_log' THEN 'entity' ELSE 'notification' END;
    old     := log || '_first';
    EXECUTE format('LOCK TABLE noti.%I IN ACCESS EXCLUSIVE MODE', log);
    -- It would go on to show the first partition only.
    SELECT v.oid::regclass INTO view
      FROM pg_depend d
      JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
      JOIN pg_class v ON v.oid = r.ev_class
     WHERE d.refobjid = format('noti.%I', log)::regclass LIMIT 1;
    IF view IS NOT NULL THEN
      RAISE EXCEPTION 'the view % reads noti.%, which is about to become another table. Drop the view, migrate, and create it again.', view, log
        USING ERRCODE = 'dependent_objects_still_exist';
    END IF;

    EXECUTE format('SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM noti.%I', log || '_' || key || '_seq') INTO next;
    EXECUTE format('ALTER TABLE noti.%I RENAME TO %I', log, old);
    EXECUTE format('ALTER TABLE noti.%I ALTER COLUMN %I DROP IDENTITY', old, key);
    EXECUTE format('ALTER TABLE noti.%I DROP CONSTRAINT %I', old, log || '_pkey');
    EXECUTE format('ALTER INDEX noti.%I RENAME TO %I', log || '_' || indexed, old || '_' || indexed);
    IF log = 'audit_log' THEN
      DROP TRIGGER audit_log_append_only ON noti.audit_log_first;   -- comes back with the partition
    END IF;

    -- The key begins with the time: it must name it, and so it also finds what happened lately.
    EXECUTE format('CREATE TABLE noti.%I (LIKE noti.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (created_at)', log, old);
    EXECUTE format('ALTER TABLE noti.%I ALTER COLUMN %I ADD GENERATED ALWAYS AS IDENTITY', log, key);
    PERFORM setval(pg_get_serial_sequence(format('noti.%I', log), key), next, false);
    EXECUTE format('ALTER TABLE noti.%I ADD CONSTRAINT %I PRIMARY KEY (created_at, %I)', log, log || '_pkey', key);
    IF log = 'audit_log' THEN
      CREATE INDEX audit_log_entity ON noti.audit_log (entity_id, entity_type);
      CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON noti.audit_log FOR EACH ROW EXECUTE FUNCTION noti.on_audit_change();
      CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON noti.audit_log FOR EACH STATEMENT EXECUTE FUNCTION noti.on_audit_change();
    ELSE
      CREATE INDEX notification_attempts_log_notification ON noti.notification_attempts_log (notification_id);
    END IF;
    EXECUTE format('ALTER TABLE noti.%I OWNER TO %s', log,
      (SELECT c.relowner::regrole FROM pg_class c WHERE c.oid = format('noti.%I', old)::regclass));
    PERFORM pg_temp.noti_regrant(format('noti.%I', old)::regclass, format('noti.%I', log)::regclass);
    PERFORM noti.attach_log_partition(log, log || '_default', 'DEFAULT');

    EXECUTE format('SELECT EXISTS (SELECT FROM noti.%I)', old) INTO filled;
    IF filled THEN
      -- The clock of a server may have been wrong, or somebody wrote 'infinity': nothing is lost by it.
      EXECUTE format('SELECT date_trunc(''month'', greatest(max(created_at) FILTER (WHERE created_at < %1$L), clock_timestamp())) + interval ''1 month'' FROM noti.%2$I',
                     '2200-01-01', old) INTO until;
      EXECUTE format('WITH moved AS (DELETE FROM noti.%1$I WHERE created_at >= %2$L RETURNING *) INSERT INTO noti.%3$I OVERRIDING SYSTEM VALUE SELECT * FROM moved',
                     old, until, log);
      PERFORM noti.attach_log_partition(log, old, format('FOR VALUES FROM (MINVALUE) TO (%L)', until));
    ELSE
      EXECUTE format('DROP TABLE noti.%I', old);
    END IF;
  END LOOP;
END $$;
DROP FUNCTION pg_temp.noti_regrant(regclass, regclass);

DO $$ BEGIN PERFORM noti.add_log_partitions(clock_timestamp(), 4); END $$;

-- Who still names an attachment. Only rows with attachments are in it; no claim and no result writes options.
CREATE INDEX notifications_log_attachments ON noti.notifications_log USING gin ((options -> 'attachments')) WHERE options ? 'attachments';
CREATE INDEX attachments_created ON noti.attachments (created_at, attachment_id);

-- Whether a notification that is still here, finished or not, names the attachment; a UUID can be written in several
-- ways. Such an index can only be used by a bitmap scan, which workers switch off for other reasons.
CREATE FUNCTION noti.attachment_named(id uuid) RETURNS boolean LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp SET enable_bitmapscan = on SET enable_seqscan = off AS $$
  SELECT EXISTS (
    SELECT FROM noti.notifications_log n
     WHERE n.options ? 'attachments'
       AND n.options -> 'attachments' ?| ARRAY[id::text, upper(id::text), replace(id::text, '-', ''), upper(replace(id::text, '-', '')),
                                               '{' || id || '}', 'urn:uuid:' || id])
$$;
