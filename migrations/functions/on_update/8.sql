-- BEFORE UPDATE, the guard: everything that the trigger's WHEN does not know as a worker's move. What may be changed is noted
-- in the audit log; the rest is refused in words.
CREATE OR REPLACE FUNCTION noti.on_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who      constant text := 'noti: notification ' || OLD.notification_id::text;
  requeue  constant boolean := OLD.status IN ('failed', 'cancelled', 'suppressed', 'expired') AND NEW.status = 'pending';
  content  constant text[] := '{channel,recipient,subject,body,template_id,template_data,locale,options,provider,template_version}';
  finished constant text[] := '{on_uncertain,priority,max_retries,send_at,expires_at,next_retry_at,category,metadata}';
  changed  text[];
  act      text;
  fault    text;
BEGIN
  -- noti.close_digests alone comes by here.
  IF OLD.status = 'gathering' AND NEW.status IN ('gathering', 'pending', 'suppressed', 'expired')
     AND current_setting('noti.closing', true) = 'on' THEN
    RETURN NEW;
  END IF;
  -- An object mapper writes back what it wrote first. Rows of before may hold it.
  IF noti.said(NEW) IS DISTINCT FROM NEW AND noti.said(OLD) IS NOT DISTINCT FROM OLD THEN
    NEW := noti.said(NEW);
  END IF;
  IF (NEW.claimed_by, NEW.claim_count, NEW.lease_until, NEW.dispatched_at, NEW.attempt_count)
       IS DISTINCT FROM (OLD.claimed_by, OLD.claim_count, OLD.lease_until, OLD.dispatched_at, OLD.attempt_count)
     OR (NEW.retry_count, NEW.lost_count) IS DISTINCT FROM (OLD.retry_count, OLD.lost_count) AND NOT requeue THEN
    RAISE EXCEPTION '%: the claim and count columns belong to the workers. Read the row again and update only the columns that you mean to change.', who
      USING ERRCODE = 'object_in_use';
  END IF;
  IF (NEW.notification_id, NEW.tenant_id, NEW.message_id, NEW.created_at, NEW.copy_of)
     IS DISTINCT FROM (OLD.notification_id, OLD.tenant_id, OLD.message_id, OLD.created_at, OLD.copy_of) THEN
    RAISE EXCEPTION '%: notification_id, tenant_id, message_id, created_at and copy_of never change. Insert a new notification instead.', who
      USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.requested IS DISTINCT FROM OLD.requested AND NEW.requested IS NOT NULL THEN
    RAISE EXCEPTION '%: requested is set for you. Set the status instead.', who USING ERRCODE = 'check_violation';
  END IF;
  IF OLD.recipient = '[erased]' AND requeue THEN
    RAISE EXCEPTION '%: it was erased and cannot be sent again. Insert a new notification instead.', who USING ERRCODE = 'check_violation';
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
    CASE WHEN NEW.template_version IS DISTINCT FROM OLD.template_version THEN 'template_version' END,
    CASE WHEN NEW.on_uncertain  IS DISTINCT FROM OLD.on_uncertain  THEN 'on_uncertain' END,
    CASE WHEN NEW.priority      IS DISTINCT FROM OLD.priority      THEN 'priority' END,
    CASE WHEN NEW.max_retries   IS DISTINCT FROM OLD.max_retries   THEN 'max_retries' END,
    CASE WHEN NEW.send_at       IS DISTINCT FROM OLD.send_at       THEN 'send_at' END,
    CASE WHEN NEW.expires_at    IS DISTINCT FROM OLD.expires_at    THEN 'expires_at' END,
    CASE WHEN NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at THEN 'next_retry_at' END,
    CASE WHEN NEW.category      IS DISTINCT FROM OLD.category      THEN 'category' END,
    CASE WHEN NEW.metadata      IS DISTINCT FROM OLD.metadata      THEN 'metadata' END], NULL);
  -- A person's content goes, the facts stay: noti.erase alone comes by here.
  IF changed && content AND current_setting('noti.erasing', true) = 'on' AND OLD.claimed_by IS NULL
     AND (NEW.recipient = '[erased]' OR changed = '{options}') THEN
    act := 'erased';
    changed := '{}';
  END IF;
  IF changed && content AND OLD.finished_at IS NOT NULL AND NOT requeue THEN
    RAISE EXCEPTION '%: it is % and its content is history. %', who, OLD.status, CASE OLD.status
        WHEN 'sent' THEN 'Insert a new notification instead.'
        ELSE 'Correct it in the UPDATE that sets status = ''pending'', which queues it again.' END
      USING ERRCODE = 'check_violation';
  END IF;
  IF changed && finished AND OLD.finished_at IS NOT NULL AND NOT requeue THEN
    RAISE EXCEPTION '%: it is % and does not change any more. %', who, OLD.status, CASE OLD.status
        WHEN 'sent' THEN 'Insert a new notification instead.'
        ELSE 'Change it in the UPDATE that sets status = ''pending'', which queues it again.' END
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
     OR (OLD.status IN ('held', 'unknown', 'gathering') AND NEW.status IN ('cancelled', 'pending'))
     OR (OLD.status = 'gathering' AND NEW.status = 'held') THEN
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
    IF NEW.digest_key IS NOT NULL AND NEW.status <> 'cancelled' THEN   -- from now on it is alone
      IF OLD.status = 'gathering' THEN
        NEW.next_retry_at := NULL;
        IF NEW.send_at IS NOT DISTINCT FROM OLD.send_at THEN NEW.send_at := clock_timestamp(); END IF;
      END IF;
      NEW.options := nullif(NEW.options - 'digest', '{}');
    END IF;
    IF requeue OR OLD.status = 'unknown' THEN NEW.lost_count := 0; END IF;
  ELSE
    RAISE EXCEPTION '%: % cannot become %. %', who, OLD.status, coalesce(NEW.status, 'null'), CASE
        WHEN OLD.status = 'sent' THEN 'It is history: add AND finished_at IS NULL to the UPDATE.'
        WHEN OLD.finished_at IS NOT NULL THEN 'It can only be queued again, with status = ''pending''.'
        WHEN OLD.status = 'gathering' THEN 'It can be cancelled or held, or released to go out alone with status = ''pending''.'
        WHEN OLD.held_at IS NOT NULL THEN 'It can be cancelled, or released with status = ''pending''.'
        ELSE 'It can be cancelled or held, and sent at another time by its send_at.' END
      USING ERRCODE = 'check_violation';
  END IF;

  IF changed && content AND OLD.attempt_count > 0 THEN
    NEW.message_id := gen_random_uuid();   -- another message now: a provider that deduplicates must not swallow it
  END IF;
  IF 'send_at' = ANY (changed) AND NEW.send_at < NEW.created_at AND NEW.send_at >= '2000-01-01 00:00+00' THEN
    NEW.send_at := NEW.created_at;         -- nobody jumps the line
  END IF;
  IF 'send_at' = ANY (changed) AND NEW.next_retry_at IS NOT NULL AND 'next_retry_at' <> ALL (changed)
     AND NEW.finished_at IS NULL AND OLD.claimed_by IS NULL THEN
    NEW.next_retry_at := NEW.send_at;      -- a rescheduled waiting row really moves
  END IF;
  IF 'max_retries' = ANY (changed) THEN
    NEW.retries_said := true;
  END IF;
  IF 'max_retries' = ANY (changed) AND NEW.max_retries >= 0 THEN  -- never below what is spent already or may be spent by the try in flight
    NEW.max_retries := greatest(NEW.max_retries, least(OLD.max_retries, NEW.retry_count + (OLD.claimed_by IS NOT NULL)::int));
  END IF;
  NEW.updated_at := clock_timestamp();

  IF changed && '{template_data,options,metadata}' THEN
    fault := noti.too_large(NEW.template_data, NEW.options, NEW.metadata);
  END IF;
  fault := coalesce(fault, noti.fault(NEW));
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION '%: %', who, fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;
  IF act IS NOT NULL OR changed <> '{}' THEN
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    VALUES (NEW.tenant_id, 'notification', NEW.notification_id::text, 'notification_' || coalesce(act, 'changed'), 'db', noti.actor(),
            jsonb_strip_nulls(jsonb_build_object('from', OLD.status, 'to', NEW.status, 'changed', nullif(changed, '{}'))));
  END IF;
  IF act IN ('cancelled', 'held') AND EXISTS (SELECT FROM noti.endpoints) THEN
    PERFORM noti.tell(NEW.notification_id, NEW.tenant_id, NEW.channel, NEW.category, act, 'person');
  END IF;
  RETURN NEW;
END $$;
