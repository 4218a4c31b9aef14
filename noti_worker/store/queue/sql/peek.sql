-- Where the rows stand that claim.sql would take now: the same conditions, and nothing is changed.
--
-- For a claim that the database refuses because of one row, which its error does not name. No value of a row is read
-- besides those of the conditions: it may be the damaged one. What others have locked is passed over, as by the claim.
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
SELECT lane.channel, lane.priority, lane.tenant_id, row.due_at, row.notification_id
  FROM unnest(
           cast(:channels AS text[]), cast(:priorities AS text[]), cast(:tenants AS text[]),
           cast(:floors_at AS timestamptz[]), cast(:floors_id AS bigint[]),
           cast(:untils_at AS timestamptz[]), cast(:untils_id AS bigint[]), cast(:quotas AS int[])
       ) AS lane (channel, priority, tenant_id, floor_at, floor_id, until_at, until_id, quota)
 CROSS JOIN LATERAL (
       SELECT n.due_at, n.notification_id
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
--+       AND (concat_ws(chr(31), n.channel, n.priority, n.tenant_id, noti.destination(n.channel, n.recipient))
--+            = ANY (cast(:destinations AS text[]))) = cast(:only AS boolean)
          AND (n.lost_count + (n.lease_until IS NOT NULL)::int >= 2) = cast(:solo AS boolean)
        ORDER BY n.due_at, n.notification_id
        LIMIT lane.quota
          FOR NO KEY UPDATE SKIP LOCKED
       ) AS row
 LIMIT cast(:limit AS bigint);
