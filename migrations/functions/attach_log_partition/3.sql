-- Make one table ready and tie it to its log; `bounds` is what follows ATTACH PARTITION. Row triggers come with the
-- log, the trigger against TRUNCATE does not, nor does row-level security. It belongs to whom the log belongs, whichever
-- member of that role makes it.
CREATE OR REPLACE FUNCTION noti.attach_log_partition(log text, partition text, bounds text) RETURNS void
  LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF to_regclass(format('noti.%I', partition)) IS NULL THEN
    EXECUTE format('CREATE TABLE noti.%I (LIKE noti.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition, log);
    EXECUTE format('ALTER TABLE noti.%I OWNER TO %I', partition,
      (SELECT pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.oid = format('noti.%I', log)::regclass));
    IF log = 'audit_log' THEN
      EXECUTE format('CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON noti.%I
                      FOR EACH STATEMENT EXECUTE FUNCTION noti.on_audit_change()', partition);
    END IF;
  END IF;
  IF (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = format('noti.%I', log)::regclass) THEN
    EXECUTE format('ALTER TABLE noti.%I ENABLE ROW LEVEL SECURITY', partition);
  END IF;
  EXECUTE format('ALTER TABLE noti.%I ATTACH PARTITION noti.%I %s', log, partition, bounds);
END $$;
