-- Of the notifications whose place each row takes, one after the other, the one that decides: one that was sent, else one that was
-- cancelled or has not ended, else the last. No more than there are channels.
\set ids 'array[1, 2]'
SELECT wanted.id, decides.notification_id AS elder, decides.channel, decides.status
  FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
 CROSS JOIN LATERAL (
       WITH RECURSIVE chain AS (
           SELECT n.notification_id, n.tenant_id, n.channel, n.status, n.fallback_of, 0 AS depth
             FROM noti.notifications_log n
            WHERE n.notification_id = wanted.id
           UNION ALL
           SELECT elder.notification_id, elder.tenant_id, elder.channel, elder.status, elder.fallback_of, chain.depth + 1
             FROM chain
            CROSS JOIN LATERAL (
                  SELECT e.notification_id, e.tenant_id, e.channel, e.status, e.fallback_of
                    FROM noti.notifications_log e
                   WHERE e.notification_id = chain.fallback_of AND e.tenant_id = chain.tenant_id
                   LIMIT 1) AS elder
            WHERE chain.depth < 8
       )
       SELECT chain.notification_id, chain.channel, chain.status
         FROM chain
        WHERE chain.depth > 0
        ORDER BY CASE chain.status WHEN 'sent' THEN 1 WHEN 'cancelled' THEN 2 WHEN 'failed' THEN 4 WHEN 'expired' THEN 4
                                   WHEN 'suppressed' THEN 4 ELSE 3 END, chain.depth DESC
        LIMIT 1) AS decides;
