-- What must always be true; gives what is not. A row is judged by a log only if the log still has the month in which the row
-- began, and by the inbox only if it was sent after what was deleted there.
CREATE OR REPLACE FUNCTION noti.assert_invariants() RETURNS TABLE (invariant text, notification_id bigint, detail text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
  WITH kept AS MATERIALIZED (
    SELECT min(p.from_at) FILTER (WHERE p.log = 'audit_log') AS audit_since,
           min(p.from_at) FILTER (WHERE p.log = 'notification_attempts_log') AS tries_since,
           (SELECT (d.state->>'before')::timestamptz FROM noti.duties d WHERE d.duty = 'inbox retention') AS inbox_since
      FROM noti.log_partitions() p)
  -- the logs tell of everything
  SELECT 'inserted without audit line', n.notification_id, 'status ' || n.status FROM noti.notifications_log n
   WHERE n.created_at >= (SELECT k.audit_since FROM kept k) AND NOT EXISTS (SELECT 1 FROM noti.audit_log a
          WHERE a.entity_type = 'notification' AND a.entity_id = n.notification_id::text AND a.action = 'notification_triggered')
  UNION ALL
  SELECT 'final status without audit line', n.notification_id, 'status ' || n.status FROM noti.notifications_log n
   WHERE n.finished_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM noti.audit_log a
          WHERE a.entity_type = 'notification' AND a.entity_id = n.notification_id::text
            AND (a.action = 'notification_' || n.status OR a.action = 'notification_triggered' AND a.metadata->>'status' = n.status))
     -- without its first line the other invariant speaks
     AND EXISTS (SELECT 1 FROM noti.audit_log a
          WHERE a.entity_type = 'notification' AND a.entity_id = n.notification_id::text AND a.action = 'notification_triggered')
  UNION ALL
  SELECT 'sent without a sent try', n.notification_id, 'claimed ' || n.claim_count::text || ' times' FROM noti.notifications_log n
   WHERE n.status = 'sent' AND n.claim_count > 0 AND n.sent_at >= (SELECT k.tries_since FROM kept k)
     AND NOT EXISTS (SELECT 1 FROM noti.notification_attempts_log t WHERE t.notification_id = n.notification_id AND t.status = 'sent')
  UNION ALL
  SELECT 'sent in_app without inbox row', n.notification_id, 'sent at ' || n.sent_at::text FROM noti.notifications_log n
   WHERE n.status = 'sent' AND n.channel = 'in_app' AND n.claim_count > 0 AND n.sent_at >= coalesce((SELECT k.inbox_since FROM kept k), '-infinity')
     AND NOT EXISTS (SELECT 1 FROM noti.inbox i WHERE i.notification_id = n.notification_id)
  UNION ALL
  -- the tries are counted and fenced
  SELECT 'tries are not numbered 1 to attempt_count', n.notification_id,
         'numbers ' || coalesce(t.numbers, 'none') || ', attempt_count ' || n.attempt_count::text
    FROM noti.notifications_log n
    LEFT JOIN (SELECT t.notification_id, count(*) AS tries, count(DISTINCT t.attempt_number) AS different, min(t.attempt_number) AS first,
                      max(t.attempt_number) AS last, string_agg(t.attempt_number::text, ',' ORDER BY t.attempt_number) AS numbers
                 FROM noti.notification_attempts_log t WHERE t.status <> 'stale' GROUP BY t.notification_id) t
      ON t.notification_id = n.notification_id
   WHERE n.created_at >= (SELECT k.tries_since FROM kept k)
     AND (n.attempt_count <> coalesce(t.tries, 0) OR t.different <> t.tries OR t.first <> 1 OR t.last <> t.tries)
  UNION ALL
  SELECT 'two results for one claim', t.notification_id, 'claim ' || t.claim_count::text FROM noti.notification_attempts_log t
   WHERE t.status <> 'stale' GROUP BY t.notification_id, t.claim_count HAVING count(*) > 1
  UNION ALL
  SELECT 'try of a claim that never was', t.notification_id, 'claim ' || t.claim_count::text || ' of ' || n.claim_count::text
    FROM noti.notification_attempts_log t JOIN noti.notifications_log n ON n.notification_id = t.notification_id
   WHERE t.claim_count > n.claim_count OR t.claim_count < 1
  UNION ALL
  SELECT 'more retries than allowed', n.notification_id, n.retry_count::text || ' of ' || n.max_retries::text FROM noti.notifications_log n
   WHERE n.retry_count > n.max_retries
  UNION ALL
  -- the row tells one story
  SELECT 'finished but still claimed', n.notification_id, n.status || ', claimed by ' || n.claimed_by::text FROM noti.notifications_log n
   WHERE n.finished_at IS NOT NULL AND n.claimed_by IS NOT NULL
  UNION ALL
  SELECT 'sending without a claim', n.notification_id, 'claimed ' || n.claim_count::text || ' times' FROM noti.notifications_log n
   WHERE n.status = 'sending' AND n.claimed_by IS NULL
  UNION ALL
  SELECT 'claimed without sending', n.notification_id, n.status || ', claimed by ' || n.claimed_by::text FROM noti.notifications_log n
   WHERE n.status <> 'sending' AND n.claimed_by IS NOT NULL AND n.finished_at IS NULL
  UNION ALL
  SELECT 'lease, mark or request without a claim', n.notification_id, 'status ' || n.status FROM noti.notifications_log n
   WHERE n.claimed_by IS NULL AND (n.lease_until IS NOT NULL OR n.dispatched_at IS NOT NULL OR n.requested IS NOT NULL)
  UNION ALL
  SELECT 'claim without a lease', n.notification_id, 'claimed by ' || n.claimed_by::text FROM noti.notifications_log n
   WHERE n.claimed_by IS NOT NULL AND n.lease_until IS NULL
  UNION ALL
  SELECT 'status and times disagree', n.notification_id, 'status ' || n.status FROM noti.notifications_log n
   WHERE (n.finished_at IS NOT NULL) <> (n.status IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired'))
      OR (n.held_at IS NOT NULL) <> (n.status IN ('held', 'unknown', 'gathering'))
      OR (n.sent_at IS NOT NULL) <> (n.status = 'sent') OR (n.failed_at IS NOT NULL) <> (n.status = 'failed')
$$;
