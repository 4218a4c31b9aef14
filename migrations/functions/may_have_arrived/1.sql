-- Whether an earlier try may have reached the recipient, so that another may be a second message: its answer was lost, a worker was
-- lost with it, or it was accepted after it had been given up. Of tries that were removed nothing is known. A row that leaves a
-- mark before it is sent was surely not sent without one.
CREATE OR REPLACE FUNCTION noti.may_have_arrived(id bigint) RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce((
    SELECT n.status = 'unknown'
           OR EXISTS (SELECT FROM noti.notification_attempts_log t
                       WHERE t.notification_id = n.notification_id
                         AND (t.kind = 'uncertain' OR t.status = 'stale' AND t.kind = 'ok')
                         AND (t.status <> 'lost' OR coalesce(n.on_uncertain, 'retry') = 'retry' OR t.error_message LIKE '%dispatch mark%'))
           OR n.attempt_count > 0
              AND NOT EXISTS (SELECT FROM noti.notification_attempts_log t WHERE t.notification_id = n.notification_id)
      FROM noti.notifications_log n
     WHERE n.notification_id = may_have_arrived.id), false)
$$;
