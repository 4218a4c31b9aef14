-- Inserts again. PostgreSQL reads the text of a CHECK and of a trigger's WHEN anew for each statement, 3 µs for each
-- kilobyte of its stored form: 27 kB and 20 kB, half of what the insert of one row cost. Both said nearly the same.
-- Now the CHECK alone says what is sound, and the trigger only looks for what it has to fill in or to refuse by itself.

-- Asked by the CHECK about a row that its short conditions do not pass. It says what is wrong in the words of
-- noti.fault, so that no error prints the row; what is merely unusual is sound. It knows every rule.
-- The row comes as a record: the CHECK is there before the type of the table is known to pg_restore.
CREATE FUNCTION noti.sound(n record) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  given noti.notifications_log;
  fault text;
BEGIN
  given := n;
  fault := noti.fault(given);
  IF fault IS NULL AND (
       (given.claimed_by IS NOT NULL) <> (given.status = 'sending')
       OR num_nulls(given.claimed_by, given.lease_until) = 1
       OR given.claimed_by IS NULL AND num_nonnulls(given.dispatched_at, given.requested) > 0
       OR given.requested NOT IN ('cancelled', 'held')
       OR least(given.claim_count, given.attempt_count, given.lost_count, given.retry_count) < 0
       OR greatest(given.claim_count, given.attempt_count) > 1000000000
       OR greatest(given.lost_count, given.retry_count) > 1000000
       OR least(given.lease_until, given.dispatched_at) < '2000-01-01 00:00+00'
       OR greatest(given.lease_until, given.dispatched_at) > '2200-01-01 00:00+00') THEN
    fault := 'the claim and count columns belong to the workers. Leave out claimed_by, lease_until, dispatched_at, requested, '
             'claim_count, attempt_count, lost_count and retry_count.';
  END IF;
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'noti: %', fault USING ERRCODE = 'check_violation', CONSTRAINT = 'notifications_log_sane';
  END IF;
  RETURN true;
END $$;

-- Whoever inserts or claims calls it, also where the defaults of the database give nobody the right.
DO $$ BEGIN
  IF NOT has_function_privilege('public', 'noti.sound(record)', 'EXECUTE') THEN
    GRANT EXECUTE ON FUNCTION noti.sound(record), noti.fault(noti.notifications_log) TO PUBLIC;
  END IF;
END $$;

-- Every row is read once, and the table is locked meanwhile: a second or two for a million rows.
-- What passes is sound; the limits are those of noti.fault, or narrower where nothing usual is beyond them.
ALTER TABLE noti.notifications_log RENAME CONSTRAINT notifications_log_sane TO notifications_log_sane_0005;
ALTER TABLE noti.notifications_log
  ADD CONSTRAINT notifications_log_sane CHECK ((
        channel = ANY ('{email,sms,whatsapp,push,voice,chat,webhook,in_app}')
    AND priority = ANY ('{low,normal,high,urgent}')
    AND on_uncertain = ANY ('{retry,hold,fail}')
    AND coalesce(body, template_id) IS NOT NULL
    AND (entity_type IS NULL) = (entity_id IS NULL)
    -- the label, the times and the claim tell the same story: each status, and which of the six are missing
    AND concat(status, finished_at IS NULL, held_at IS NULL, sent_at IS NULL, failed_at IS NULL, claimed_by IS NULL, lease_until IS NULL)
        = ANY ('{pendingtttttt,sendingttttff,retryingtttttt,heldtftttt,sentftfttt,failedfttftt,cancelledfttttt,suppressedfttttt,expiredfttttt,unknowntftttt}')
    AND (claimed_by IS NOT NULL OR dispatched_at IS NULL)
    AND requested IS NULL
    -- one infinity, or one number at its end, must not poison a batch; below a power of two the bits of all are below it
    AND '[0,511]'::int4range @> (claim_count | attempt_count | lost_count | retry_count | max_retries)
    AND '[2000-01-01 00:00+00,2200-01-01 00:00+00]'::tstzrange @> ALL (ARRAY[created_at, updated_at, next_retry_at, send_at,
          expires_at, finished_at, held_at, sent_at, failed_at, lease_until, dispatched_at])
    -- sizes in bytes
    AND tenant_id <> '' AND recipient <> ''
    AND octet_length(locale) <= 64
    AND greatest(octet_length(tenant_id), octet_length(entity_type)) <= 128
    AND greatest(octet_length(entity_id), octet_length(template_id), octet_length(idempotency_key), octet_length(category),
                 octet_length(provider), octet_length(collapse_key), octet_length(traceparent)) <= 256
    AND greatest(octet_length(recipient), octet_length(subject), octet_length(error_message)) <= 4096
    AND octet_length(body) <= 1048576
    AND greatest(pg_column_size(template_data), pg_column_size(options), pg_column_size(metadata)) <= 262144
    ) IS NOT FALSE OR noti.sound(notifications_log)),
  DROP CONSTRAINT notifications_log_sane_0005;

-- A new row passes by. One that is not new, or names a NULL where there must be a value, is looked at by noti.on_odd_insert.
DROP TRIGGER notifications_log_odd ON noti.notifications_log;
CREATE TRIGGER notifications_log_odd BEFORE INSERT ON noti.notifications_log FOR EACH ROW
  WHEN ((NEW.status = 'pending' AND NEW.next_retry_at IS NULL
     AND 0 = ALL (ARRAY[NEW.claim_count, NEW.attempt_count, NEW.lost_count, NEW.retry_count])
     AND num_nulls(NEW.tenant_id, NEW.channel, NEW.priority, NEW.recipient, NEW.max_retries, NEW.message_id, NEW.created_at,
                   NEW.updated_at) = 0) IS NOT TRUE)
  EXECUTE FUNCTION noti.on_odd_insert();

-- As before, but the metadata is made from texts, and only from what there is; and four commits at a time may carry a
-- wake-up, not eight: NOTIFY makes commits queue, and with eight of sixteen clients the inserts lost a quarter of their rate.
CREATE OR REPLACE FUNCTION noti.on_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  who constant text := coalesce(nullif(current_setting('role', true), 'none'), session_user);
BEGIN
  INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
  SELECT i.tenant_id, 'notification', i.notification_id::text, 'notification_triggered', 'db', who,
         jsonb_object(ARRAY['status', i.status, 'channel', i.channel, 'priority', i.priority]
           || CASE WHEN i.entity_id IS NOT NULL THEN ARRAY['entity_type', i.entity_type, 'entity_id', i.entity_id] END
           || CASE WHEN i.template_id IS NOT NULL THEN ARRAY['template_id', i.template_id] END
           || CASE WHEN i.send_at IS NOT NULL THEN ARRAY['send_at', to_json(i.send_at) #>> '{}'] END
           || CASE WHEN i.expires_at IS NOT NULL THEN ARRAY['expires_at', to_json(i.expires_at) #>> '{}'] END)
  FROM inserted i;
  IF FOUND AND lower(coalesce(current_setting('noti.wake', true), '')) NOT IN ('off', 'false', 'no', '0')
     AND EXISTS (SELECT 1 FROM inserted i WHERE i.finished_at IS NULL AND i.held_at IS NULL
                  AND i.due_at <= clock_timestamp() + interval '10 seconds')
     AND pg_try_advisory_xact_lock(7700140 + pg_backend_pid() % 4) THEN
    PERFORM pg_notify('noti_wake', '');
  END IF;
  RETURN NULL;
END $$;
