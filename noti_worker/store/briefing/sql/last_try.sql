-- How the last try of each row ended. Losses and stale results are no tries that say anything about an account.
\set ids 'array[1, 2]'
SELECT wanted.id, last.account, last.kind
  FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
 CROSS JOIN LATERAL (
       SELECT t.account, t.kind
         FROM noti.notification_attempts_log t
        WHERE t.notification_id = wanted.id AND t.status NOT IN ('lost', 'stale')
        ORDER BY t.log_id DESC
        LIMIT 1
       ) AS last;
