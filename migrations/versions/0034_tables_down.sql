DROP INDEX noti.notifications_log_digest, noti.notifications_log_digest_due;
ALTER TABLE noti.notifications_log
  DROP CONSTRAINT notifications_log_sane,
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
    ) IS NOT FALSE OR noti.sound(notifications_log));
ALTER TABLE noti.notifications_log DROP COLUMN digest_key;
