-- The triggers: what may be inserted, what may be changed, and the audit lines of everything that is not a worker's.
-- SECURITY DEFINER only where the audit log is written, so that applications need no right on it.

-- ------------------------------------------------------------------------------------ BEFORE INSERT
-- Only rows that name something unusual pay for it: WHEN lists what is wrong or has to be filled in.
CREATE FUNCTION noti.on_odd_insert() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  fault text;
BEGIN
  -- Hibernate and its kin name every column: an explicit NULL means the default.
  NEW.tenant_id     := coalesce(NEW.tenant_id, 'default');
  NEW.status        := coalesce(NEW.status, 'pending');
  NEW.priority      := coalesce(NEW.priority, 'normal');
  NEW.max_retries   := coalesce(NEW.max_retries, 3);
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

CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN (
    -- explicit NULLs
    NEW.tenant_id IS NULL OR NEW.status IS NULL OR NEW.priority IS NULL OR NEW.max_retries IS NULL OR NEW.message_id IS NULL
    OR NEW.created_at IS NULL OR NEW.updated_at IS NULL OR NEW.claim_count IS NULL OR NEW.attempt_count IS NULL
    OR NEW.lost_count IS NULL OR NEW.retry_count IS NULL OR NEW.channel IS NULL OR NEW.recipient IS NULL
    -- the workers' columns, and history
    OR NEW.status <> 'pending'
    OR NEW.claimed_by IS NOT NULL OR NEW.lease_until IS NOT NULL OR NEW.dispatched_at IS NOT NULL OR NEW.requested IS NOT NULL
    OR NEW.next_retry_at IS NOT NULL
    OR NEW.claim_count <> 0 OR NEW.attempt_count <> 0 OR NEW.lost_count <> 0 OR NEW.retry_count <> 0
    -- the wall, word for word
    OR NOT (
        NEW.channel IN ('email', 'sms', 'whatsapp', 'push', 'voice', 'chat', 'webhook', 'in_app')
    AND NEW.priority IN ('low', 'normal', 'high', 'urgent')
    AND NEW.status IN ('pending', 'sending', 'retrying', 'held', 'sent', 'failed', 'cancelled', 'suppressed', 'expired', 'unknown')
    AND NEW.on_uncertain IN ('retry', 'hold', 'fail')
    AND (NEW.body IS NOT NULL OR NEW.template_id IS NOT NULL)
    AND (NEW.entity_type IS NULL) = (NEW.entity_id IS NULL)
    AND (NEW.finished_at IS NOT NULL) = (NEW.status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
    AND (NEW.held_at IS NOT NULL) = (NEW.status IN ('held', 'unknown'))
    AND (NEW.sent_at IS NOT NULL) = (NEW.status = 'sent')
    AND (NEW.failed_at IS NOT NULL) = (NEW.status = 'failed')
    AND (NEW.claimed_by IS NOT NULL) = (NEW.status = 'sending')
    AND (NEW.claimed_by IS NULL) = (NEW.lease_until IS NULL)
    AND (NEW.dispatched_at IS NULL OR NEW.claimed_by IS NOT NULL)
    AND (NEW.requested IS NULL OR (NEW.requested IN ('cancelled', 'held') AND NEW.claimed_by IS NOT NULL))
    AND NEW.claim_count >= 0 AND NEW.claim_count <= 1000000000
    AND NEW.attempt_count >= 0 AND NEW.attempt_count <= 1000000000
    AND NEW.lost_count >= 0 AND NEW.lost_count <= 1000000
    AND NEW.retry_count >= 0 AND NEW.retry_count <= 1000000
    AND NEW.max_retries >= 0 AND NEW.max_retries <= 1000
    AND NEW.created_at >= '2000-01-01 00:00+00' AND NEW.created_at <= '2200-01-01 00:00+00'
    AND NEW.updated_at >= '2000-01-01 00:00+00' AND NEW.updated_at <= '2200-01-01 00:00+00'
    AND NEW.next_retry_at >= '2000-01-01 00:00+00' AND NEW.next_retry_at <= '2200-01-01 00:00+00'
    AND NEW.send_at >= '2000-01-01 00:00+00' AND NEW.send_at <= '2200-01-01 00:00+00'
    AND NEW.expires_at >= '2000-01-01 00:00+00' AND NEW.expires_at <= '2200-01-01 00:00+00'
    AND NEW.finished_at >= '2000-01-01 00:00+00' AND NEW.finished_at <= '2200-01-01 00:00+00'
    AND NEW.held_at >= '2000-01-01 00:00+00' AND NEW.held_at <= '2200-01-01 00:00+00'
    AND NEW.sent_at >= '2000-01-01 00:00+00' AND NEW.sent_at <= '2200-01-01 00:00+00'
    AND NEW.failed_at >= '2000-01-01 00:00+00' AND NEW.failed_at <= '2200-01-01 00:00+00'
    AND NEW.lease_until >= '2000-01-01 00:00+00' AND NEW.lease_until <= '2200-01-01 00:00+00'
    AND NEW.dispatched_at >= '2000-01-01 00:00+00' AND NEW.dispatched_at <= '2200-01-01 00:00+00'
    AND octet_length(NEW.tenant_id) >= 1 AND octet_length(NEW.tenant_id) <= 128
    AND octet_length(NEW.recipient) >= 1 AND octet_length(NEW.recipient) <= 4096
    AND octet_length(NEW.entity_type) <= 128 AND octet_length(NEW.entity_id) <= 256
    AND octet_length(NEW.subject) <= 4096 AND octet_length(NEW.body) <= 1048576
    AND octet_length(NEW.template_id) <= 256 AND octet_length(NEW.locale) <= 64
    AND octet_length(NEW.idempotency_key) <= 256 AND octet_length(NEW.category) <= 256
    AND octet_length(NEW.provider) <= 256 AND octet_length(NEW.collapse_key) <= 256
    AND octet_length(NEW.traceparent) <= 256 AND octet_length(NEW.error_message) <= 8192
    AND pg_column_size(NEW.template_data) <= 262144 AND pg_column_size(NEW.options) <= 262144 AND pg_column_size(NEW.metadata) <= 262144))
  EXECUTE FUNCTION noti.on_odd_insert();

-- ------------------------------------------------------------------------------------ AFTER INSERT
-- One audit line per row, whoever inserted it, and at most one wake-up per statement. No EXCEPTION block: it would
-- cost a subtransaction per statement. The wake is gated by eight advisory keys, because NOTIFY serialises commits;
-- polling is the truth. A row that is due in a moment wakes, too: idle workers look every few seconds only.
-- ALTER ROLE … SET noti.wake = 'off' for two-phase commit, which refuses NOTIFY.
CREATE FUNCTION noti.on_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  SELECT i.tenant_id, 'notification', i.notification_id::text, 'notification_triggered', 'db', noti.actor(),
         jsonb_strip_nulls(jsonb_build_object(
           'status', i.status, 'channel', i.channel, 'priority', i.priority, 'entity_type', i.entity_type,
           'entity_id', i.entity_id, 'template_id', i.template_id, 'send_at', i.send_at, 'expires_at', i.expires_at))
  FROM inserted i;
  IF FOUND AND lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND EXISTS (SELECT 1 FROM inserted i WHERE i.finished_at IS NULL AND i.held_at IS NULL
                  AND i.due_at <= clock_timestamp() + interval '10 seconds')
     AND pg_try_advisory_xact_lock(7700140 + pg_backend_pid() % 8) THEN
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER notifications_log_insert AFTER INSERT ON noti.notifications_log
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION noti.on_insert();

-- ------------------------------------------------------------------------------------ BEFORE UPDATE: the guard
CREATE FUNCTION noti.on_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who      constant text := 'noti: notification ' || OLD.notification_id;
  requeue  constant boolean := OLD.status IN ('failed', 'cancelled', 'suppressed', 'expired') AND NEW.status = 'pending';
  content  constant text[] := '{channel,recipient,subject,body,template_id,template_data,locale,options,provider}';
  changed  text[];
  act      text;
  fault    text;
BEGIN
  IF (NEW.claimed_by, NEW.claim_count, NEW.lease_until, NEW.dispatched_at, NEW.attempt_count)
       IS DISTINCT FROM (OLD.claimed_by, OLD.claim_count, OLD.lease_until, OLD.dispatched_at, OLD.attempt_count)
     OR (NEW.retry_count, NEW.lost_count) IS DISTINCT FROM (OLD.retry_count, OLD.lost_count) AND NOT requeue THEN
    RAISE EXCEPTION '%: the claim and count columns belong to the workers. Read the row again and update only the columns that you mean to change.', who
      USING ERRCODE = 'object_in_use';
  END IF;
  IF (NEW.notification_id, NEW.tenant_id, NEW.message_id, NEW.created_at)
     IS DISTINCT FROM (OLD.notification_id, OLD.tenant_id, OLD.message_id, OLD.created_at) THEN
    RAISE EXCEPTION '%: notification_id, tenant_id, message_id and created_at never change. Insert a new notification instead.', who
      USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.requested IS DISTINCT FROM OLD.requested AND NEW.requested IS NOT NULL THEN
    RAISE EXCEPTION '%: requested is set for you. Set the status instead.', who USING ERRCODE = 'check_violation';
  END IF;
  changed := array_remove(ARRAY[
    CASE WHEN NEW.channel       IS DISTINCT FROM OLD.channel       THEN 'channel' END,
    CASE WHEN NEW.recipient     IS DISTINCT FROM OLD.recipient     THEN 'recipient' END,
    CASE WHEN NEW.subject       IS DISTINCT FROM OLD.subject       THEN 'subject' END,
    CASE WHEN NEW.body          IS DISTINCT FROM OLD.body          THEN 'body' END,
    CASE WHEN NEW.template_id   IS DISTINCT FROM OLD.template_id   THEN 'template_id' END,
    CASE WHEN NEW.template_data IS DISTINCT FROM OLD.template_data THEN 'template_data' END,
    CASE WHEN NEW.locale        IS DISTINCT FROM OLD.locale        THEN 'locale' END,
    CASE WHEN NEW.options       IS DISTINCT FROM OLD.options       THEN 'options' END,
    CASE WHEN NEW.provider      IS DISTINCT FROM OLD.provider      THEN 'provider' END,
    CASE WHEN NEW.on_uncertain  IS DISTINCT FROM OLD.on_uncertain  THEN 'on_uncertain' END,
    CASE WHEN NEW.priority      IS DISTINCT FROM OLD.priority      THEN 'priority' END,
    CASE WHEN NEW.max_retries   IS DISTINCT FROM OLD.max_retries   THEN 'max_retries' END,
    CASE WHEN NEW.send_at       IS DISTINCT FROM OLD.send_at       THEN 'send_at' END,
    CASE WHEN NEW.expires_at    IS DISTINCT FROM OLD.expires_at    THEN 'expires_at' END,
    CASE WHEN NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at THEN 'next_retry_at' END], NULL);
  IF changed && content AND OLD.finished_at IS NOT NULL AND NOT requeue THEN
    RAISE EXCEPTION '%: it is % and its content is history. %', who, OLD.status, CASE OLD.status
        WHEN 'sent' THEN 'Insert a new notification instead.'
        ELSE 'Correct it in the UPDATE that sets status = ''pending'', which queues it again.' END
      USING ERRCODE = 'check_violation';
  END IF;
  -- on_uncertain, too: the worker decided by it whether to leave a dispatch mark.
  IF (changed && content OR NEW.on_uncertain IS DISTINCT FROM OLD.on_uncertain) AND OLD.claimed_by IS NOT NULL THEN
    RAISE EXCEPTION '%: it is being sent and its content cannot change now. Try again when its status is not sending.', who
      USING ERRCODE = 'object_in_use';
  END IF;

  IF NEW.status IS NOT DISTINCT FROM OLD.status THEN
    IF (NEW.finished_at, NEW.held_at, NEW.sent_at, NEW.failed_at) IS DISTINCT FROM (OLD.finished_at, OLD.held_at, OLD.sent_at, OLD.failed_at) THEN
      RAISE EXCEPTION '%: finished_at, held_at, sent_at and failed_at follow the status. Set the status instead.', who USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.requested IS DISTINCT FROM OLD.requested THEN
      act := 'request_withdrawn';
    END IF;
  ELSIF OLD.status = 'sending' AND NEW.status IN ('cancelled', 'held') THEN
    -- In flight: the wish is noted, and whoever holds the claim decides. A hold does not take back a cancel.
    NEW.requested := CASE WHEN OLD.requested = 'cancelled' THEN OLD.requested ELSE NEW.status END;
    act := CASE WHEN NEW.requested IS DISTINCT FROM OLD.requested THEN CASE NEW.requested WHEN 'held' THEN 'hold' ELSE 'cancel' END || '_requested' END;
    NEW.status := OLD.status;
    NEW.finished_at := NULL; NEW.held_at := NULL; NEW.sent_at := NULL; NEW.failed_at := NULL;
  ELSIF OLD.status = 'sending' THEN
    RAISE EXCEPTION '%: it is being sent and cannot become %. Cancel or hold it, or wait for the result.', who, coalesce(NEW.status, 'null')
      USING ERRCODE = 'object_in_use';
  ELSIF requeue
     OR (OLD.status IN ('pending', 'retrying') AND NEW.status IN ('cancelled', 'held'))
     OR (OLD.status IN ('held', 'unknown') AND NEW.status IN ('cancelled', 'pending')) THEN
    act := CASE WHEN requeue THEN 'requeued' WHEN NEW.status = 'pending' THEN 'released' ELSE NEW.status END;
    NEW.finished_at := CASE WHEN NEW.status = 'cancelled' THEN clock_timestamp() END;
    NEW.held_at     := CASE WHEN NEW.status = 'held' THEN clock_timestamp() END;
    NEW.sent_at     := NULL;
    NEW.failed_at   := NULL;
    IF requeue THEN
      NEW.retry_count := 0;
      NEW.next_retry_at := NULL;
      IF NEW.send_at IS NOT DISTINCT FROM OLD.send_at THEN NEW.send_at := clock_timestamp(); END IF;
      IF NEW.expires_at <= clock_timestamp() THEN NEW.expires_at := NULL; END IF;
    END IF;
    IF requeue OR OLD.status = 'unknown' THEN NEW.lost_count := 0; END IF;
  ELSE
    RAISE EXCEPTION '%: % cannot become %. %', who, OLD.status, coalesce(NEW.status, 'null'), CASE
        WHEN OLD.status = 'sent' THEN 'It is history: add AND finished_at IS NULL to the UPDATE.'
        WHEN OLD.finished_at IS NOT NULL THEN 'It can only be queued again, with status = ''pending''.'
        WHEN OLD.held_at IS NOT NULL THEN 'It can be cancelled, or released with status = ''pending''.'
        ELSE 'It can be cancelled or held, and sent at another time by its send_at.' END
      USING ERRCODE = 'check_violation';
  END IF;

  IF changed && content AND OLD.attempt_count > 0 THEN
    NEW.message_id := gen_random_uuid();   -- another message now: a provider that deduplicates must not swallow it
  END IF;
  IF 'send_at' = ANY (changed) AND NEW.next_retry_at IS NOT NULL AND 'next_retry_at' <> ALL (changed)
     AND NEW.finished_at IS NULL AND OLD.claimed_by IS NULL THEN
    NEW.next_retry_at := NEW.send_at;      -- a rescheduled waiting row really moves
  END IF;
  IF 'max_retries' = ANY (changed) AND NEW.max_retries >= 0 THEN  -- never below what is spent already or may be spent by the try in flight
    NEW.max_retries := greatest(NEW.max_retries, least(OLD.max_retries, NEW.retry_count + (OLD.claimed_by IS NOT NULL)::int));
  END IF;
  NEW.updated_at := clock_timestamp();

  fault := noti.fault(NEW);
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION '%: %', who, fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;
  IF act IS NOT NULL OR changed <> '{}' THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    VALUES (NEW.tenant_id, 'notification', NEW.notification_id::text, 'notification_' || coalesce(act, 'changed'), 'db', noti.actor(),
            jsonb_strip_nulls(jsonb_build_object('from', OLD.status, 'to', NEW.status, 'changed', nullif(changed, '{}'))));
  END IF;
  RETURN NEW;
END $$;

-- Exactly the four moves of a worker pass free of charge; everything else is looked at. An ORM that writes a stale
-- copy back would otherwise break the fence. IS NOT TRUE: a NULL in a comparison must not open the door.
CREATE TRIGGER notifications_log_guard BEFORE UPDATE ON noti.notifications_log FOR EACH ROW
  WHEN ((
    -- claim
    (NEW.claim_count = OLD.claim_count + 1 AND NEW.claimed_by IS NOT NULL AND NEW.lease_until IS NOT NULL AND NEW.status = 'sending'
     AND OLD.finished_at IS NULL AND OLD.held_at IS NULL)
    -- result, release
    OR (NEW.claim_count = OLD.claim_count AND OLD.claimed_by IS NOT NULL AND NEW.claimed_by IS NULL AND NEW.lease_until IS NULL
        AND NEW.dispatched_at IS NULL AND NEW.requested IS NULL AND NEW.status <> 'sending')
    -- extend
    OR (NEW.claim_count = OLD.claim_count AND NEW.claimed_by = OLD.claimed_by AND NEW.status = 'sending'
        AND NEW.lease_until > OLD.lease_until AND NEW.dispatched_at IS NOT DISTINCT FROM OLD.dispatched_at)
    -- dispatch
    OR (NEW.claim_count = OLD.claim_count AND NEW.claimed_by = OLD.claimed_by AND NEW.status = 'sending'
        AND NEW.lease_until = OLD.lease_until AND OLD.dispatched_at IS NULL AND NEW.dispatched_at IS NOT NULL)) IS NOT TRUE)
  EXECUTE FUNCTION noti.on_update();

-- ------------------------------------------------------------------------------------ DELETE, TRUNCATE
CREATE FUNCTION noti.on_unfinished_delete() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'noti: notification %: it is not finished and cannot be deleted. Cancel it instead, or add AND finished_at IS NOT NULL to the DELETE.', OLD.notification_id
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER notifications_log_delete BEFORE DELETE ON noti.notifications_log FOR EACH ROW
  WHEN (OLD.finished_at IS NULL) EXECUTE FUNCTION noti.on_unfinished_delete();

CREATE FUNCTION noti.on_truncate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM noti.notifications_log WHERE finished_at IS NULL AND held_at IS NULL)
     OR EXISTS (SELECT 1 FROM noti.notifications_log WHERE held_at IS NOT NULL) THEN
    RAISE EXCEPTION 'noti: there are unfinished notifications, and the table cannot be truncated. Cancel them first.'
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER notifications_log_truncate BEFORE TRUNCATE ON noti.notifications_log FOR EACH STATEMENT EXECUTE FUNCTION noti.on_truncate();

-- A trigger fires without this right; it takes it to tie the function to a table of one's own, and so to forge lines.
REVOKE EXECUTE ON FUNCTION noti.on_insert(), noti.on_update(), noti.on_truncate() FROM PUBLIC;

-- ------------------------------------------------------------------------------------ the audit log is append-only
-- Only the role noti_retention and its members may change it. A superuser is a member of every role for
-- pg_has_role: he has to say SET ROLE noti_retention, so that nothing happens by accident.
CREATE FUNCTION noti.on_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_user = 'noti_retention'
     OR pg_has_role(current_user, to_regrole('noti_retention'), 'USAGE')
        AND NOT (SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user) THEN
    RETURN CASE WHEN TG_OP = 'UPDATE' THEN NEW ELSE OLD END;
  END IF;
  RAISE EXCEPTION 'noti: the audit log is append-only. Only the role noti_retention may change it.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON noti.audit_log FOR EACH ROW EXECUTE FUNCTION noti.on_audit_change();
CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON noti.audit_log FOR EACH STATEMENT EXECUTE FUNCTION noti.on_audit_change();
