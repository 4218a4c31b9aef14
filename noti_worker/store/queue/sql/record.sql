-- Write what became of the claims of one worker: row, attempt, audit line and what follows from it together.
--
-- The fence: a result counts only while the row still carries (claimed_by, claim_count). The entries come
-- sorted by id, so that two workers never wait for each other, and a row that somebody else has locked is
-- skipped ('busy') rather than holding up the rest. Each probe is a LATERAL with its own LIMIT or lock,
-- so that the plan reaches rows by key whatever the statistics say.
--
-- A cancel or hold that was asked for in flight wins over another try; an end that was reached stays.
--
-- fate: applied; busy (locked by somebody else: flush it again); again (recorded before, the answer was
-- lost on the way); stale (no longer ours: nothing changes, a real try is kept in the attempts log).
\set worker_id 1
\set document '''[{"id": 1, "claim_count": 1, "status": "sent", "tried": true}]'''
WITH entry AS MATERIALIZED (
    -- What an entry leaves out is null or false. As json it is read once; as jsonb it would be built first.
    SELECT id, claim_count, status, reason, coalesce(charge, false) AS charge, coalesce(wait_ms, 0) AS wait_ms, error,
           coalesce(tried, false) AS tried, attempt, provider, account, kind, code, response, provider_message_id,
           age_ms, duration_ms, traceparent, stage, scope, rule, choice, template, follows, coalesce(referenced, false) AS referenced
           --+ , gathers
      FROM json_to_recordset(cast(:document AS json)) AS entry (
           id bigint, claim_count int, status text, reason text, charge boolean, wait_ms bigint, error text,
           tried boolean, attempt int, provider text, account text, kind text, code text, response jsonb,
           provider_message_id text, age_ms bigint, duration_ms bigint, traceparent text,
           stage text, scope text, rule text, choice text, template text, follows json, referenced boolean
           --+ , gathers text
           )
),
ours AS MATERIALIZED (
    SELECT entry.*,
           locked.requested AS wish,
           CASE WHEN entry.status IN ('retrying', 'held', 'gathering') THEN coalesce(locked.requested, entry.status)
                ELSE entry.status END AS becomes
      FROM entry
     CROSS JOIN LATERAL (
           SELECT n.requested
             FROM noti.notifications_log n
            WHERE n.notification_id = entry.id
              AND n.claimed_by = cast(:worker_id AS bigint)
              AND n.claim_count = entry.claim_count
              FOR NO KEY UPDATE SKIP LOCKED
           ) AS locked
),
applied AS (
    UPDATE noti.notifications_log n
       SET status = ours.becomes,
           finished_at = CASE WHEN ours.becomes IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired')
                              THEN now() END,
           held_at = CASE WHEN ours.becomes IN ('held', 'unknown', 'gathering') THEN now() END,
           sent_at = CASE WHEN ours.becomes = 'sent' THEN now() END,
           failed_at = CASE WHEN ours.becomes = 'failed' THEN now() END,
           retry_count = n.retry_count + ours.charge::int,
           attempt_count = n.attempt_count + ours.tried::int,
           next_retry_at = CASE WHEN ours.status = 'retrying' THEN now() + ours.wait_ms * interval '1 millisecond'
                                --+ WHEN ours.becomes = 'gathering'
                                --+ THEN noti.gathers_until(n.tenant_id, n.channel, n.recipient, ours.gathers, n.expires_at)
                                ELSE n.next_retry_at END,
           --+ digest_key = CASE WHEN ours.becomes = 'gathering'
           --+                   THEN 'noti.' || ours.gathers || coalesce(':' || left(n.category, 60), '') ELSE n.digest_key END,
           error_message = CASE WHEN ours.becomes <> 'sent' THEN coalesce(ours.error, n.error_message) END,
           claimed_by = NULL,
           lease_until = NULL,
           dispatched_at = NULL,
           requested = NULL,
           lost_count = 0,
           updated_at = now()
      FROM ours
     WHERE n.notification_id = ours.id
       AND n.notification_id = ANY (ARRAY(SELECT id FROM ours))
    RETURNING n.notification_id, n.tenant_id, n.attempt_count
    --+ , n.channel, n.category
),
judged AS MATERIALIZED (
    SELECT entry.*, ours.becomes, ours.wish, coalesce(applied.tenant_id, seen.tenant_id) AS tenant_id,
           --+ applied.channel, applied.category,
           coalesce(applied.attempt_count, entry.attempt) AS number,
           seen.notification_id IS NOT NULL AS exists,
           CASE WHEN applied.notification_id IS NOT NULL THEN 'applied'
                WHEN seen.claimed_by = cast(:worker_id AS bigint) AND seen.claim_count = entry.claim_count THEN 'busy'
                WHEN entry.tried AND past.yes THEN 'again'
                WHEN NOT entry.tried AND seen.claimed_by IS NULL AND seen.claim_count = entry.claim_count THEN 'again'
                ELSE 'stale' END AS fate
      FROM entry
      LEFT JOIN ours ON ours.id = entry.id AND ours.claim_count = entry.claim_count
      LEFT JOIN applied ON applied.notification_id = ours.id
      LEFT JOIN LATERAL (
           SELECT n.notification_id, n.tenant_id, n.claimed_by, n.claim_count
             FROM noti.notifications_log n
            WHERE applied.notification_id IS NULL AND n.notification_id = entry.id
            LIMIT 1
           ) AS seen ON true
      LEFT JOIN LATERAL (
           SELECT true AS yes
             FROM noti.notification_attempts_log t
            WHERE applied.notification_id IS NULL AND t.notification_id = entry.id
              AND t.claim_count = entry.claim_count AND t.status <> 'lost'
            LIMIT 1
           ) AS past ON true
),
attempts AS (
    INSERT INTO noti.notification_attempts_log
           (notification_id, attempt_number, status, provider, account, kind, code, error_message, response_data,
            provider_message_id, started_at, duration_ms, worker, claim_count, stage, scope, rule, choice, tenant_id, template)
    -- The attempts log knows how tries end, not how rows do: a row that expired after a try had a failed one.
    SELECT id, number,
           CASE WHEN fate <> 'applied' THEN 'stale'
                WHEN status IN ('sent', 'retrying', 'held', 'unknown') THEN status
                ELSE 'failed' END,
           provider, account, kind, code,
           error, response, provider_message_id, now() - age_ms * interval '1 millisecond', duration_ms,
           coalesce((SELECT w.host || ':' || w.pid::text || '#' FROM noti.workers w
                      WHERE w.worker_id = cast(:worker_id AS bigint)), '') || cast(cast(:worker_id AS bigint) AS text),
           claim_count, stage, scope, rule, choice, tenant_id, template
      FROM judged
     WHERE tried AND (fate = 'applied' OR fate = 'stale' AND exists)
),
--+ reference AS (
--+     -- What the provider calls it, where its receipts will know nothing else; of a late result, too: it went out.
--+     INSERT INTO noti.provider_references (reference, account, notification_id)
--+     SELECT provider_message_id, account, id
--+       FROM judged
--+      WHERE referenced AND provider_message_id IS NOT NULL AND (fate = 'applied' OR fate = 'stale' AND exists)
--+ ),
inbox AS (
    -- A message that an earlier, lost claim already put there is not put there twice.
    INSERT INTO noti.inbox (notification_id, tenant_id, recipient, subject, body, html)
    SELECT judged.id, line.tenant_id, line.recipient, line.subject, line.body, line.html
      FROM judged
     CROSS JOIN LATERAL json_to_recordset(judged.follows) AS line (
           "into" text, tenant_id text, recipient text, subject text, body text, html text)
     WHERE judged.fate = 'applied' AND judged.status = 'sent' AND judged.follows IS NOT NULL AND line."into" = 'inbox'
    ON CONFLICT (notification_id) DO NOTHING
),
--+ told AS (
--+     -- Only where an endpoint of the tenant wants to hear of it. What tells of events makes none.
--+     INSERT INTO noti.events (tenant_id, notification_id, channel, event, source, kind)
--+     SELECT tenant_id, id, channel, becomes, 'worker', kind
--+       FROM judged
--+      WHERE fate = 'applied' AND becomes NOT IN ('retrying', 'gathering') AND coalesce(category, '') NOT LIKE 'noti.%'
--+        AND EXISTS (SELECT FROM noti.endpoints e
--+                     WHERE e.tenant_id = judged.tenant_id AND e.state <> 'disabled'
--+                       AND (e.events = '{}' OR becomes = ANY (e.events))
--+                       AND (e.channels = '{}' OR judged.channel = ANY (e.channels)))
--+ ),
audit AS (
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    SELECT tenant_id, 'notification', id::text, 'notification_' || becomes,
           'worker', 'worker ' || cast(cast(:worker_id AS bigint) AS text),
           jsonb_strip_nulls(jsonb_build_object(
               'reason', reason, 'kind', kind, 'account', account,
               'attempt', CASE WHEN tried THEN number END,
               'wait_s', CASE WHEN becomes = 'retrying' THEN round(wait_ms / 1000.0, 3) END,
               'traceparent', traceparent,
               'requested', CASE WHEN becomes <> status THEN wish END))
      FROM judged
     WHERE fate = 'applied'
)
SELECT id, fate,
       CASE WHEN fate = 'applied' AND tried AND follows IS NOT NULL
            THEN noti.defer_copies(id, cast(:worker_id AS bigint), wish, follows) END AS copies
  FROM judged;
