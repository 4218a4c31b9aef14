-- The roles stay: they belong to the whole server. Their rights in this database go, with what the migration made.
DO $$
DECLARE
  one record;
  old text;
BEGIN
  FOR one IN SELECT r.rolname FROM pg_roles r
              WHERE r.rolname IN ('noti_app', 'noti_worker', 'noti_operator', 'noti_readonly', 'noti_migrator')
                AND r.oid <> (SELECT n.nspowner FROM pg_namespace n WHERE n.nspname = 'noti') LOOP
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA noti FROM %I', one.rolname);
    EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA noti FROM %I', one.rolname);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA noti FROM %I', one.rolname);
    EXECUTE format('REVOKE ALL ON SCHEMA noti FROM %I', one.rolname);
  END LOOP;

  FOR one IN
    SELECT * FROM (VALUES
      ('noti.why(bigint)', '', 'SELECT t.log_id, t.created_at, t.attempt_number, t.status, t.account, t.provider, t.kind, t.code, t.error_message, t.duration_ms,' || E'\n           ''worker ''', 'SELECT t.*, ''worker '''),
      ('noti.why(bigint)', '', 'noti.next_step(noti.facts(n.notification_id))', 'noti.next_step(n)'),
      ('noti.on_update()', '  -- A person''s content goes', E'  END IF;\n  IF changed && content AND OLD.finished_at', '  IF changed && content AND OLD.finished_at'),
      ('noti.on_audit_change()', '  -- noti.erase takes', E'    END IF;\n  END IF;\n', '')) AS v (function, since, until, new)
  LOOP
    old := pg_get_functiondef(one.function::regprocedure);
    -- What stands from `since` up to and with `until` becomes `new`.
    EXECUTE overlay(old PLACING one.new
      FROM position(CASE one.since WHEN '' THEN one.until ELSE one.since END IN old)
      FOR position(one.until IN substr(old, position(CASE one.since WHEN '' THEN one.until ELSE one.since END IN old))) + length(one.until) - 1);
  END LOOP;
END $$;
DROP FUNCTION noti.erase(text, text, bigint, int, boolean), noti.erase_inbox(text, text, bigint, int, boolean),
  noti.erase_lines(text, text, timestamptz, bigint, int, boolean);
DROP FUNCTION noti.concerns(text, text, jsonb, text), noti.addresses(jsonb), noti.without(jsonb, text), noti.unnamed(text, text);
DROP FUNCTION noti.rights_of_roles(), noti.facts(bigint);
