-- Take due rows of the named lanes, in the order of the lanes, at most :limit in all.
--
-- One index probe per lane, each an exact prefix of notifications_log_hot, so that nothing is sorted and
-- no row is locked that is not claimed. The materialized CTE matters: a plain subquery may be run again
-- by the update and then takes more rows than its LIMIT. The update reaches its rows through an array,
-- not a join, whose plan would hang on statistics that a fresh table does not have.
-- NO KEY: an application's foreign key to this table must not hide a row.
-- With :dead NULL no claim of another worker is taken, however old. A worker whose heart beats knows what it does, perhaps
-- only an application's lock keeps it from saying so: its lease is anybody's once it has been over for another lease.
-- With :in_hand, what this worker holds and is not among
-- these is taken: the answer to its claim was lost. What carries a dispatch mark is left to its lease.
-- Nothing large comes with a row: no document, and no body of more than 16 kB. Those are looked up apart.
-- Whatever still carries a lease here was lost; that is written down in the same breath.
-- Rows of closed templates and accounts are passed over; the arrays, of tenant (empty: every tenant), chr(31) and name,
-- are empty unless something is closed; so are the rows of :aside, which the database refused to this worker. How far
-- a lane is walked then, or in search of suspects, `untils` says (strides.sql); else they stand behind every row.
-- Lines that begin with a + are there where a destination has run out: its rows, by channel, priority, tenant and domain or host, are passed
-- over then, or with :only no others taken.
\set worker_id 1
\set lease '''120 seconds'''
\set dead 'array[]::bigint[]'
\set living 'array[]::bigint[]'
\set in_hand 'NULL::bigint[]'
\set solo false
\set limit 10
\set closed_providers 'array[]::text[]'
\set closed_templates 'array[]::text[]'
\set aside 'array[]::bigint[]'
--+ \set destinations 'array[concat_ws(chr(31), ''email'', ''normal'', ''default'', ''example.com'')]'
--+ \set only false
\set channels 'array[''email'', ''email'']'
\set priorities 'array[''urgent'', ''normal'']'
\set tenants 'array[''default'', ''default'']'
\set floors_at 'array[''1970-01-01 00:00+00'', ''1970-01-01 00:00+00'']'
\set floors_id 'array[0, 0]'
\set untils_at 'array[''9999-01-01 00:00+00'', ''9999-01-01 00:00+00'']'
\set untils_id 'array[0, 0]'
\set quotas 'array[5, 10]'
WITH taken AS MATERIALIZED (
    SELECT row.*
      FROM unnest(
               cast(:channels AS text[]), cast(:priorities AS text[]), cast(:tenants AS text[]),
               cast(:floors_at AS timestamptz[]), cast(:floors_id AS bigint[]),
               cast(:untils_at AS timestamptz[]), cast(:untils_id AS bigint[]), cast(:quotas AS int[])
           ) AS lane (channel, priority, tenant_id, floor_at, floor_id, until_at, until_id, quota)
     CROSS JOIN LATERAL (
           SELECT n.notification_id, n.tenant_id, n.claimed_by, n.claim_count, n.attempt_count, n.dispatched_at,
                  n.lease_until IS NOT NULL AS lost
             FROM noti.notifications_log n
            WHERE n.channel = lane.channel
              AND n.priority = lane.priority
              AND n.tenant_id = lane.tenant_id
              AND n.finished_at IS NULL
              AND n.held_at IS NULL
              AND n.due_at <= now()
              AND (n.due_at, n.notification_id) >= (lane.floor_at, lane.floor_id)
              AND (n.due_at, n.notification_id) < (lane.until_at, lane.until_id)
              AND (n.lease_until IS NULL
                   OR cast(:dead AS bigint[]) IS NOT NULL
                      AND (n.lease_until < now()
                           AND (n.claimed_by <> ALL (cast(:living AS bigint[]))
                                OR n.lease_until < now() - cast(:lease AS interval))
                           OR n.claimed_by = ANY (cast(:dead AS bigint[])))
                   OR n.claimed_by = cast(:worker_id AS bigint) AND n.dispatched_at IS NULL
                      AND n.notification_id <> ALL (cast(:in_hand AS bigint[])))
              AND (n.template_id IS NULL
                   OR NOT ARRAY[chr(31) || n.template_id, n.tenant_id || chr(31) || n.template_id] COLLATE "C"
                          && cast(:closed_templates AS text[]))
              AND (n.provider IS NULL
                   OR NOT ARRAY[chr(31) || n.provider, n.tenant_id || chr(31) || n.provider] COLLATE "C"
                          && cast(:closed_providers AS text[]))
              AND n.notification_id <> ALL (cast(:aside AS bigint[]))
--+           AND (concat_ws(chr(31), n.channel, n.priority, n.tenant_id, noti.destination(n.channel, n.recipient))
--+            = ANY (cast(:destinations AS text[]))) = cast(:only AS boolean)
              AND (n.lost_count + (n.lease_until IS NOT NULL)::int >= 2) = cast(:solo AS boolean)
            ORDER BY n.due_at, n.notification_id
            LIMIT lane.quota
              FOR NO KEY UPDATE SKIP LOCKED
           ) AS row
     LIMIT cast(:limit AS bigint)
),
lost AS (
    INSERT INTO noti.notification_attempts_log
           (notification_id, attempt_number, status, kind, error_message, worker, claim_count, tenant_id)
    SELECT notification_id, attempt_count + 1, 'lost', 'uncertain',
           CASE WHEN dispatched_at IS NULL
                THEN 'the worker was lost, its lease ran out, or its claim was not answered: it is not known how far it came'
                ELSE 'the worker was lost or its lease ran out after the dispatch mark: it may have been sent'
           END,
           coalesce((SELECT w.host || ':' || w.pid::text || '#' FROM noti.workers w
                      WHERE w.worker_id = taken.claimed_by), '') || claimed_by::text, claim_count, tenant_id
      FROM taken
     WHERE lost
)
UPDATE noti.notifications_log n
   SET status = 'sending',
       claimed_by = cast(:worker_id AS bigint),
       claim_count = n.claim_count + 1,
       lease_until = now() + cast(:lease AS interval),
       lost_count = n.lost_count + (n.lease_until IS NOT NULL)::int,
       attempt_count = n.attempt_count + (n.lease_until IS NOT NULL)::int
 WHERE n.notification_id = ANY (ARRAY(SELECT notification_id FROM taken))
RETURNING n.notification_id, n.claim_count, n.channel, n.priority, n.tenant_id, n.recipient, n.message_id,
       n.created_at, n.due_at, now() AS claimed_at, coalesce(n.send_at, n.created_at) AS first_due_at,
       n.subject, CASE WHEN octet_length(n.body) <= 16384 THEN n.body END AS body, octet_length(n.body) > 16384 AS long_body,
       n.template_id, n.template_data IS NOT NULL AS has_data, n.locale, n.options IS NOT NULL AS has_options, n.expires_at,
       n.retry_count, CASE WHEN n.retries_said THEN n.max_retries END AS max_retries, n.attempt_count, n.lost_count,
       n.requested, n.on_uncertain,
       n.dispatched_at IS NOT NULL AS dispatched, n.provider, n.traceparent, n.copy_of,
       n.category, n.template_version,
       EXISTS (SELECT FROM noti.suppressions s WHERE s.lifted_at IS NULL) AS listed,
       EXISTS (SELECT FROM noti.preferences) OR EXISTS (SELECT FROM noti.categories c WHERE c.opt_in OR c.expires_after IS NOT NULL) AS choosing,
       EXISTS (SELECT FROM noti.contacts) AS peopled,
       n.collapse_key IS NOT NULL AS collapses, n.fallback_of, n.digest_key IS NOT NULL AS gathered,
       n.notification_id = ANY (ARRAY(SELECT notification_id FROM taken WHERE lost)) AS rescued;
