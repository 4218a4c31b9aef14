DROP TRIGGER notifications_log_max_retries ON noti.notifications_log;
DROP TRIGGER notifications_log_odd ON noti.notifications_log;
CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN ((NEW.status = 'pending' AND NEW.next_retry_at IS NULL
     AND 0 = ALL (ARRAY[NEW.claim_count, NEW.attempt_count, NEW.lost_count, NEW.retry_count])
     AND num_nulls(NEW.tenant_id, NEW.channel, NEW.priority, NEW.recipient, NEW.max_retries, NEW.message_id, NEW.created_at,
                   NEW.updated_at) = 0) IS NOT TRUE)
  EXECUTE FUNCTION noti.on_odd_insert();

-- Of the functions, 0006 granted only the erasure.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN SELECT r.role, p.oid::regprocedure::text AS function
               FROM noti.rights r
               JOIN pg_proc p ON p.proname = r.object AND p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
              WHERE r.privilege = 'EXECUTE' AND r.object NOT IN ('erase', 'erase_inbox', 'erase_lines')
                AND to_regrole(quote_ident(r.role)) IS NOT NULL LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM %I', one.function, one.role);
  END LOOP;
END $$;
