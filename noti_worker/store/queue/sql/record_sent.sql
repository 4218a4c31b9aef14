-- Write successes of one worker that are alike: row, attempt and audit line together.
--
-- The same as record.sql would write, for a third less: what they have in common is said once, and the rest comes as
-- columns. The fence is the same too, and so is SKIP LOCKED. What is not given back was not written: record.sql
-- tells why.
\set worker_id 1
\set ids '''{1}'''
\set claim_counts '''{1}'''
\set ages_ms '''{5}'''
\set durations_ms '''{3}'''
\set provider_message_ids '''one'''
\set responses '''{}'''
\set provider '''sandbox'''
\set account '''box'''
\set code '''delivered'''
\set stage NULL
\set scope '''message'''
\set rule NULL
\set choice NULL
\set template NULL
\set reason '''the provider accepted it'''
--+ \set referenced false
WITH entry AS MATERIALIZED (
    -- An empty text is none, and no text holds the separator.
    SELECT *
      FROM unnest(cast(:ids AS bigint[]), cast(:claim_counts AS int[]), cast(:ages_ms AS bigint[]),
                  cast(:durations_ms AS bigint[]), string_to_array(cast(:provider_message_ids AS text), chr(31), ''),
                  string_to_array(cast(:responses AS text), chr(31), ''))
           AS entry (id, claim_count, age_ms, duration_ms, provider_message_id, response)
),
ours AS MATERIALIZED (
    SELECT entry.*
      FROM entry
     CROSS JOIN LATERAL (
           SELECT
             FROM noti.notifications_log n
            WHERE n.notification_id = entry.id
              AND n.claimed_by = cast(:worker_id AS bigint)
              AND n.claim_count = entry.claim_count
              FOR NO KEY UPDATE SKIP LOCKED
           ) AS locked
),
applied AS (
    UPDATE noti.notifications_log n
       SET status = 'sent',
           finished_at = now(),
           held_at = NULL,
           sent_at = now(),
           failed_at = NULL,
           attempt_count = n.attempt_count + 1,
           error_message = NULL,
           claimed_by = NULL,
           lease_until = NULL,
           dispatched_at = NULL,
           requested = NULL,
           lost_count = 0,
           updated_at = now()
      FROM ours
     WHERE n.notification_id = ours.id
       AND n.notification_id = ANY (ARRAY(SELECT id FROM ours))
    RETURNING n.notification_id AS id, n.tenant_id, n.attempt_count AS number, ours.claim_count, ours.age_ms,
              ours.duration_ms, ours.provider_message_id, ours.response
              --+ , n.channel, n.category
),
attempts AS (
    INSERT INTO noti.notification_attempts_log
           (notification_id, attempt_number, status, provider, account, kind, code, response_data,
            provider_message_id, started_at, duration_ms, worker, claim_count, stage, scope, rule, choice, tenant_id, template)
    SELECT id, number, 'sent', cast(:provider AS text), cast(:account AS text), 'ok', cast(:code AS text),
           cast(response AS jsonb),
           provider_message_id, now() - age_ms * interval '1 millisecond', duration_ms,
           coalesce((SELECT w.host || ':' || w.pid::text || '#' FROM noti.workers w
                      WHERE w.worker_id = cast(:worker_id AS bigint)), '') || cast(cast(:worker_id AS bigint) AS text),
           claim_count, cast(:stage AS text), cast(:scope AS text), cast(:rule AS text),
           cast(:choice AS text), tenant_id, cast(:template AS text)
      FROM applied
),
--+ reference AS (
--+     INSERT INTO noti.provider_references (reference, account, notification_id)
--+     SELECT provider_message_id, cast(:account AS text), id
--+       FROM applied
--+      WHERE cast(:referenced AS boolean) AND provider_message_id IS NOT NULL
--+ ),
--+ told AS (
--+     INSERT INTO noti.events (tenant_id, notification_id, channel, event, source, kind)
--+     SELECT tenant_id, id, channel, 'sent', 'worker', 'ok'
--+       FROM applied
--+      WHERE coalesce(category, '') NOT LIKE 'noti.%'
--+        AND EXISTS (SELECT FROM noti.endpoints e
--+                     WHERE e.tenant_id = applied.tenant_id AND e.state <> 'disabled'
--+                       AND (e.events = '{}' OR 'sent' = ANY (e.events))
--+                       AND (e.channels = '{}' OR applied.channel = ANY (e.channels)))
--+ ),
audit AS (
    INSERT INTO noti.audit_log (tenant_id, entity_type, entity_id, action, action_by_type, action_by, metadata)
    SELECT tenant_id, 'notification', id::text, 'notification_sent',
           'worker', 'worker ' || cast(cast(:worker_id AS bigint) AS text),
           jsonb_build_object('reason', cast(:reason AS text), 'kind', 'ok', 'account', cast(:account AS text),
                              'attempt', number)
      FROM applied
)
SELECT id, claim_count FROM applied;
