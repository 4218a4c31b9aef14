-- BEFORE INSERT: what the trigger's WHEN found unusual is filled in, or refused in words.
CREATE OR REPLACE FUNCTION noti.on_odd_insert() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  fault text;
BEGIN
  -- Hibernate and its kin name every column: an explicit NULL means the default.
  NEW.tenant_id     := coalesce(NEW.tenant_id, 'default');
  NEW.status        := coalesce(NEW.status, 'pending');
  NEW.priority      := coalesce(NEW.priority, 'normal');
  NEW.message_id    := coalesce(NEW.message_id, gen_random_uuid());
  NEW.created_at    := coalesce(NEW.created_at, clock_timestamp());
  NEW.updated_at    := coalesce(NEW.updated_at, clock_timestamp());
  NEW.claim_count   := coalesce(NEW.claim_count, 0);
  NEW.attempt_count := coalesce(NEW.attempt_count, 0);
  NEW.lost_count    := coalesce(NEW.lost_count, 0);
  NEW.retry_count   := coalesce(NEW.retry_count, 0);

  IF NEW.status IN ('sending', 'retrying', 'unknown') THEN
    fault := 'a new notification cannot be ' || NEW.status || '. Leave status out; held and finished history may be inserted too.';
  ELSIF NEW.claimed_by IS NOT NULL OR NEW.lease_until IS NOT NULL OR NEW.dispatched_at IS NOT NULL OR NEW.requested IS NOT NULL
     OR NEW.claim_count <> 0 OR NEW.attempt_count <> 0 OR NEW.lost_count <> 0 OR NEW.retry_count <> 0 THEN
    fault := 'the claim and count columns belong to the workers. Leave out claimed_by, lease_until, dispatched_at, requested, '
             'claim_count, attempt_count, lost_count and retry_count.';
  ELSIF NEW.next_retry_at IS NOT NULL THEN
    fault := 'next_retry_at belongs to the workers. Use send_at to send later.';
  ELSE
    -- Finished history may be inserted with the status alone.
    IF NEW.status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired') THEN
      NEW.finished_at := coalesce(NEW.finished_at, NEW.sent_at, NEW.failed_at, clock_timestamp());
    END IF;
    IF NEW.status = 'sent' THEN NEW.sent_at := coalesce(NEW.sent_at, NEW.finished_at); END IF;
    IF NEW.status = 'failed' THEN NEW.failed_at := coalesce(NEW.failed_at, NEW.finished_at); END IF;
    IF NEW.status = 'held' THEN NEW.held_at := coalesce(NEW.held_at, clock_timestamp()); END IF;
    fault := noti.fault(NEW);
  END IF;
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;
  RETURN NEW;
END $$;
