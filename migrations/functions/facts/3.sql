-- One row as obstacles and next_step take it, without its content.
CREATE OR REPLACE FUNCTION noti.facts(id bigint) RETURNS noti.notifications_log LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_populate_record(NULL::noti.notifications_log, to_jsonb(f))
    FROM (SELECT n.notification_id, n.tenant_id, n.channel, n.priority, n.recipient, n.status, n.requested, n.template_id, n.provider,
                 n.claimed_by, n.lease_until, n.dispatched_at, n.lost_count, n.on_uncertain, n.due_at, n.expires_at, n.sent_at,
                 n.finished_at, n.held_at, n.attempt_count, n.retry_count, n.max_retries, n.retries_said
            FROM noti.notifications_log n WHERE n.notification_id = facts.id) AS f
$$;
