-- The limits that are set, and those of the configuration that were asked for; each with what is left of it, and how many due messages
-- wait while it is used up (counted up to :bound).
\set bound 10000
WITH now_ AS MATERIALIZED (
    SELECT a.scope, a.tenant_id, a.name, ''::text AS period, a.rate, a.burst, a.pace, a.slowed_at, a.tokens, a.next_at,
           NULL::bigint AS amount, NULL::bigint AS taken, NULL::timestamptz AS until, a.next_at IS NOT NULL AS empty
      FROM noti.allowance() a
     UNION ALL
    SELECT u.scope, u.tenant_id, u.name, u.period, NULL, NULL, NULL, NULL, NULL, NULL, u.amount, u.taken, u.until, u.taken >= u.amount
      FROM (SELECT DISTINCT ON (x.scope, x.tenant_id, x.name, x.period) x.*
              FROM noti.usage x ORDER BY x.scope, x.tenant_id, x.name, x.period, x.n DESC) AS u
     WHERE u.until > clock_timestamp()
),
both_ AS MATERIALIZED (
    SELECT coalesce(l.scope, n.scope) AS scope, coalesce(l.tenant_id, n.tenant_id) AS tenant_id, coalesce(l.name, n.name) AS name,
           coalesce(l.period, n.period) AS period,
           coalesce(l.amount / extract(epoch FROM l.every)::float8, n.rate) AS rate, coalesce(l.burst, n.burst) AS burst,
           n.pace, n.slowed_at, n.tokens, n.next_at, coalesce(n.amount, CASE WHEN l.period <> '' THEN l.amount END) AS amount,
           CASE WHEN coalesce(l.period, n.period) <> '' THEN coalesce(n.taken, 0) END AS taken, n.until,
           CASE WHEN l.period <> '' THEN l.zone END AS zone, CASE WHEN l.period <> '' THEN l.when_spent END AS when_spent,
           extract(epoch FROM l.double_every)::float8 AS double_every_seconds, l.set_by, l.set_at, coalesce(n.empty, false) AS empty
      FROM noti.limits l
      FULL JOIN now_ n ON (n.scope, n.tenant_id, n.name, n.period) = (l.scope, l.tenant_id, l.name, l.period)
)
SELECT b.scope, b.tenant_id, b.name, b.period, b.rate, b.burst, b.pace, b.slowed_at, b.tokens, b.next_at, b.amount, b.taken, b.until,
       b.zone, b.when_spent, b.double_every_seconds, b.set_by, b.set_at, w.waiting
  FROM both_ b
 CROSS JOIN LATERAL (
       SELECT count(*) AS waiting
         FROM (SELECT
                 FROM (SELECT b.name AS channel WHERE b.scope = 'tenant channel'
                        UNION
                       SELECT r.channel FROM noti.living_routes r WHERE b.scope = 'account' AND r.account = b.name) AS c
                CROSS JOIN unnest('{urgent,high,normal,low}'::text[]) AS p (priority)
                CROSS JOIN LATERAL (
                      SELECT
                        FROM noti.notifications_log n
                       WHERE n.channel = c.channel AND n.priority = p.priority
                         AND (b.scope <> 'tenant channel' OR n.tenant_id = b.tenant_id)
                         AND n.finished_at IS NULL AND n.held_at IS NULL AND n.due_at <= clock_timestamp() AND n.claimed_by IS NULL
                       LIMIT cast(:bound AS bigint)) AS row
                WHERE b.empty
                LIMIT cast(:bound AS bigint)) AS counted
       ) AS w
 ORDER BY b.scope, b.tenant_id, b.name, b.period;
