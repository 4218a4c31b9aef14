-- Unfinished notifications by channel, priority and state; `closed` tells those that are not sent now.
--
-- The closed things are words joined by chr(31): a lane is tenant and channel, a template tenant (empty: every tenant)
-- and name, a provider channel, tenant and name.
--
-- Each (channel, priority) is counted up to :bound rows along notifications_log_hot, so that a gauge costs the
-- same with ten million rows waiting. A lapsed lease is due again: whoever claims next takes the row.
\set channels 'array[''email'', ''webhook'']'
\set priorities 'array[''low'', ''normal'', ''high'', ''urgent'']'
\set bound 100000
\set closed_channels 'array[''webhook'']'
\set closed_tenants 'array[]::text[]'
\set closed_lanes 'array[]::text[]'
\set closed_templates 'array[]::text[]'
\set closed_providers 'array[''email'' || chr(31) || chr(31) || ''relay'']'
SELECT channel, priority, row.state, row.closed, count(*) AS rows
  FROM unnest(cast(:channels AS text[])) AS channel
 CROSS JOIN unnest(cast(:priorities AS text[])) AS priority
 CROSS JOIN LATERAL (
       SELECT CASE WHEN n.lease_until >= now() THEN 'in_flight'
                   WHEN n.due_at <= now() THEN 'due'
                   WHEN n.next_retry_at IS NOT NULL THEN 'waiting'
                   ELSE 'scheduled'
              END AS state,
              (channel.channel = ANY (cast(:closed_channels AS text[]))
               OR n.tenant_id = ANY (cast(:closed_tenants AS text[]))
               OR n.tenant_id || chr(31) || n.channel = ANY (cast(:closed_lanes AS text[]))
               OR ARRAY[chr(31) || n.template_id, n.tenant_id || chr(31) || n.template_id] COLLATE "C"
                  && cast(:closed_templates AS text[])
               OR ARRAY[n.channel || chr(31) || chr(31) || n.provider,
                        n.channel || chr(31) || n.tenant_id || chr(31) || n.provider] COLLATE "C"
                  && cast(:closed_providers AS text[])) IS TRUE AS closed
         FROM noti.notifications_log n
        WHERE n.channel = channel.channel AND n.priority = priority.priority
          AND n.finished_at IS NULL AND n.held_at IS NULL
        LIMIT cast(:bound AS bigint)
       ) AS row
 GROUP BY 1, 2, 3, 4
UNION ALL
SELECT row.channel, row.priority, row.state, false, count(*)
  FROM (
       SELECT n.channel, n.priority, CASE n.status WHEN 'gathering' THEN n.status ELSE 'held' END AS state
         FROM noti.notifications_log n
        WHERE n.held_at IS NOT NULL
        LIMIT cast(:bound AS bigint)
       ) AS row
 GROUP BY 1, 2, 3;
