-- For rows with a collapse key: the newest later row of the same tenant, channel, recipient and key that went out, is going
-- out, or may. One that is scheduled counts from its time on.
--
-- Of the newest 50 only: a key with a hundred thousand cancelled rows must not be walked for each of them. By a hash first,
-- and compared as rows: the order by notification_id alone is that of the primary key, too, and the planner might walk that.
\set ids 'array[1, 2]'
SELECT mine.notification_id AS id, newer.notification_id AS newer
  FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
 CROSS JOIN LATERAL (
       SELECT n.notification_id, n.tenant_id, n.channel, n.collapse_key, n.recipient,
              hashtextextended(n.tenant_id || chr(31) || n.channel || chr(31) || n.collapse_key || chr(31) || n.recipient, 0) AS hash
         FROM noti.notifications_log n WHERE n.notification_id = wanted.id LIMIT 1) AS mine
 CROSS JOIN LATERAL (
       SELECT late.notification_id
         FROM (SELECT n.*
                 FROM noti.notifications_log n
                WHERE n.collapse_key IS NOT NULL
                  AND (hashtextextended(n.tenant_id || chr(31) || n.channel || chr(31) || n.collapse_key || chr(31) || n.recipient, 0),
                       n.notification_id) > (mine.hash, mine.notification_id)
                  AND (hashtextextended(n.tenant_id || chr(31) || n.channel || chr(31) || n.collapse_key || chr(31) || n.recipient, 0),
                       n.notification_id) <= (mine.hash, 9223372036854775807)
                ORDER BY hashtextextended(n.tenant_id || chr(31) || n.channel || chr(31) || n.collapse_key || chr(31) || n.recipient, 0) DESC,
                         n.notification_id DESC
                LIMIT 50) AS late
        WHERE (late.tenant_id, late.channel, late.collapse_key, late.recipient)
              = (mine.tenant_id, mine.channel, mine.collapse_key, mine.recipient)
          AND late.status NOT IN ('cancelled', 'held', 'failed', 'expired', 'suppressed')
          AND (late.send_at IS NULL OR late.send_at <= now())
        ORDER BY late.notification_id DESC
        LIMIT 1) AS newer;
