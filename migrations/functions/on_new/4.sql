-- BEFORE INSERT: what was not said is filled in; what is not new, or too large as text, is refused in words. The CHECK sees
-- to the rest.
-- Without a WHEN, which PostgreSQL reads anew for each statement. Few and short expressions: each is prepared anew for each
-- transaction. A row's documents of 2 kB in all become text here, larger ones are measured with care.
CREATE OR REPLACE FUNCTION noti.on_new() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  fault text;
BEGIN
  IF NEW.max_retries IS NULL THEN   -- the channel's setting counts; workers of the version before read 3
    NEW.max_retries := 3;
    NEW.retries_said := false;
  END IF;
  IF '' = ANY (ARRAY[NEW.template_id, NEW.locale, NEW.entity_type, NEW.entity_id, NEW.idempotency_key, NEW.category, NEW.provider,
                     NEW.collapse_key, NEW.on_uncertain, NEW.traceparent, NEW.priority]) THEN
    NEW := noti.said(NEW);
  END IF;
  IF num_nonnulls(NEW.template_data, NEW.options, NEW.metadata) > 0
     AND ('null' IN (NEW.template_data, NEW.options, NEW.metadata)
          OR coalesce(pg_column_size(NEW.template_data || '{}'), 0) + coalesce(pg_column_size(NEW.options || '{}'), 0)
             + coalesce(pg_column_size(NEW.metadata || '{}'), 0) > 2048
          OR octet_length(concat(NEW.template_data, NEW.options, NEW.metadata)) > 65536) THEN
    IF 'null' IN (NEW.template_data, NEW.options, NEW.metadata) THEN
      NEW := noti.said(NEW);
    END IF;
    fault := noti.too_large(NEW.template_data, NEW.options, NEW.metadata);
  END IF;

  IF fault IS NULL AND (NEW.status = 'pending' AND NEW.next_retry_at IS NULL
     AND 0 = ALL (ARRAY[NEW.claim_count, NEW.attempt_count, NEW.lost_count, NEW.retry_count])
     AND NEW.copy_of IS NULL
     AND num_nulls(NEW.tenant_id, NEW.channel, NEW.priority, NEW.recipient, NEW.message_id, NEW.created_at, NEW.updated_at) = 0) IS NOT TRUE THEN
    -- Hibernate and its kin name every column: an explicit NULL means the default.
    NEW.tenant_id     := coalesce(NEW.tenant_id, nullif(current_setting('noti.tenant', true), ''), 'default');
    NEW.status        := coalesce(NEW.status, 'pending');
    NEW.priority      := coalesce(NEW.priority, 'normal');
    NEW.message_id    := coalesce(NEW.message_id, gen_random_uuid());
    NEW.created_at    := coalesce(NEW.created_at, clock_timestamp());
    NEW.updated_at    := coalesce(NEW.updated_at, clock_timestamp());
    NEW.claim_count   := coalesce(NEW.claim_count, 0);
    NEW.attempt_count := coalesce(NEW.attempt_count, 0);
    NEW.lost_count    := coalesce(NEW.lost_count, 0);
    NEW.retry_count   := coalesce(NEW.retry_count, 0);

    IF NEW.copy_of IS NOT NULL THEN
      -- noti.defer_copies writes it, after its first try; and one for each further address of a person, before it.
      IF (NEW.status NOT IN ('retrying', 'held', 'cancelled') OR (NEW.claim_count, NEW.attempt_count) <> (1, 1))
         AND (coalesce(current_setting('noti.copying', true), '') <> 'on' OR NEW.status NOT IN ('pending', 'held')
              OR (NEW.claim_count, NEW.attempt_count) <> (0, 0)) THEN
        fault := 'copy_of belongs to the workers. Leave it out: options.cc and options.bcc name who gets a copy.';
      END IF;
    ELSIF NEW.status IN ('sending', 'retrying', 'unknown') THEN
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
  END IF;
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;
  -- Nobody jumps the line with a send_at of long ago. What is no sensible time is for the CHECK to refuse.
  IF NEW.send_at < NEW.created_at AND NEW.send_at >= '2000-01-01 00:00+00' AND NEW.finished_at IS NULL THEN
    NEW.send_at := NEW.created_at;
  END IF;
  RETURN NEW;
END $$;
