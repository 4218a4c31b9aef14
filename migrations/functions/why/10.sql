-- The story of one notification, for a person (at, event, detail, by) and for machines (the rest).
CREATE OR REPLACE FUNCTION noti.why(id bigint)
  RETURNS TABLE (at timestamptz, event text, detail text, by text,
                 attempt_number int, account text, provider text, kind text, code text, duration_ms bigint)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH said AS (
    -- what came from outside; our own words name nobody
    SELECT t.log_id, t.notification_id, t.created_at, t.attempt_number, t.status, t.account, t.provider, t.kind, t.code, t.stage, t.choice, t.template, t.provider_message_id, t.duration_ms, t.worker,
           noti.masked(t.error_message, CASE WHEN t.status <> 'lost' THEN n.recipient END) AS error_message,
           CASE WHEN n.recipient LIKE 'user:%' THEN noti.reached(t.notification_id, t.log_id) END AS reached
      FROM noti.notification_attempts_log t LEFT JOIN noti.notifications_log n ON n.notification_id = t.notification_id
     WHERE t.notification_id = why.id),
  tries AS MATERIALIZED (
    SELECT t.log_id, t.created_at, t.attempt_number, t.status, t.account, t.provider, t.kind, t.code, t.error_message, t.duration_ms,
           'worker ' || t.worker AS claimer,
           concat_ws(', ',
             coalesce(t.account, 'no account') || coalesce(' (' || nullif(t.provider, t.account) || ')', '')
             || CASE WHEN t.kind = 'ok' THEN ' accepted it' || coalesce(' (' || t.code || ')', '') || coalesce(', but ' || t.error_message, '')
                     ELSE CASE WHEN t.code IS NULL THEN ''
                               WHEN t.stage IN ('build', 'compose', 'guard') THEN ' was not asked (' || t.code || ')'
                               WHEN t.code ~ '^[0-9]' OR coalesce(t.stage, 'answer') = 'answer' AND t.kind <> 'uncertain' THEN ' answered ' || t.code
                               ELSE ' gave no answer (' || t.code || ')' END
                          || coalesce(': ' || t.error_message, '') || coalesce(' (' || t.kind || ')', '') END,
             'to ' || t.reached,
             'written from ' || t.template,
             'provider id ' || t.provider_message_id,
             noti.span(t.duration_ms / 1000.0),
             CASE t.choice WHEN 'row' THEN 'asked because the notification names it'
                           WHEN 'weight' THEN 'asked because the message falls into its share of the route'
                           WHEN 'failover' THEN 'asked because the account of the last try did not send it'
                           WHEN 'witness' THEN 'asked because only it can tell whether it took the message already'
                           WHEN 'closed' THEN 'asked because those before it on the route are closed just now'
                           WHEN 'probe' THEN 'asked to see whether it works again' END) AS answer
      FROM said t),
  decisions AS (
    SELECT a.created_at, a.action_by, a.action_by_type, a.metadata, substr(a.action, length('notification_') + 1) AS action,
           a.metadata->>'attempt' AS attempt
      FROM noti.audit_log a WHERE a.entity_type = 'notification' AND a.entity_id = why.id::text),
  lines AS (
    SELECT t.created_at AS at, 1 AS rank, t.log_id AS id,
           CASE t.status WHEN 'lost' THEN 'try ' || t.attempt_number::text || ' lost' WHEN 'stale' THEN 'late result' ELSE 'try ' || t.attempt_number::text END AS event,
           CASE t.status WHEN 'lost' THEN t.error_message
                         WHEN 'stale' THEN 'of try ' || t.attempt_number::text || ', which had been given up: ' || t.answer || '; it changes nothing'
                                               || CASE WHEN t.kind = 'ok' THEN ', but it may have arrived twice' ELSE '' END
                         ELSE t.answer END AS detail,
           t.claimer AS by, t.attempt_number, t.account, t.provider, t.kind, t.code, t.duration_ms
      FROM tries t
    UNION ALL
    -- What was decided about a try stands right after it: one statement writes both.
    SELECT greatest(d.created_at, t.created_at), 2, 0,
           CASE WHEN d.action <> 'triggered' THEN replace(d.action, '_', ' ')
                WHEN d.metadata->>'status' IN ('sent', 'failed', 'cancelled', 'suppressed', 'expired') THEN 'inserted'
                ELSE 'queued' END,
           CASE
             WHEN d.action = 'triggered' THEN
               concat_ws(', ', d.metadata->>'channel', (d.metadata->>'priority') || ' priority',
                 'about ' || (d.metadata->>'entity_type') || ' ' || noti.masked(d.metadata->>'entity_id', NULL), 'template ' || (d.metadata->>'template_id'),
                 'to be sent at ' || noti.instant((d.metadata->>'send_at')::timestamptz),
                 'to expire at ' || noti.instant((d.metadata->>'expires_at')::timestamptz),
                 coalesce('a copy of notification ' || (SELECT n.copy_of FROM noti.notifications_log n WHERE n.notification_id = why.id)::text,
                          'as ' || nullif(d.metadata->>'status', 'pending')))
             WHEN d.action_by_type = 'worker' THEN
               CASE WHEN d.metadata ? 'requested' THEN 'as requested while it was being sent; of the try itself: ' ELSE '' END
               || coalesce(noti.masked(d.metadata->>'reason', NULL), 'no reason was given')
               || coalesce('; next try in ' || noti.span((d.metadata->>'wait_s')::numeric), '')
             WHEN d.action = 'cancel_requested' THEN 'it is being sent: unless this try settles it, it is cancelled'
             WHEN d.action = 'hold_requested' THEN 'it is being sent: unless this try settles it, it is held'
             WHEN d.action = 'request_withdrawn' THEN 'it goes on as if nothing had been requested'
             ELSE concat_ws('; ', 'it was ' || (d.metadata->>'from'),
                            'changed: ' || (SELECT string_agg(c, ', ') FROM jsonb_array_elements_text(d.metadata->'changed') c)) END,
           d.action_by, t.attempt_number, coalesce(d.metadata->>'account', t.account), t.provider, coalesce(d.metadata->>'kind', t.kind), t.code, NULL
      FROM decisions d
      LEFT JOIN tries t ON d.action_by_type = 'worker' AND t.attempt_number::text = d.attempt AND t.status NOT IN ('lost', 'stale')
    UNION ALL
    -- what the notification itself knows, where retention has taken the lines of the logs
    SELECT n.created_at, 0, 0, 'queued',
           concat_ws(', ', n.channel, n.priority || ' priority', 'about ' || n.entity_type || ' ' || noti.masked(n.entity_id, NULL), 'template ' || n.template_id,
                     'a copy of notification ' || n.copy_of::text),
           NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM noti.notifications_log n
     WHERE n.notification_id = why.id AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.action = 'triggered')
    UNION ALL
    SELECT greatest(n.created_at, (SELECT min(d.created_at) FROM decisions d WHERE d.action = 'triggered')), 3, 0, 'tries',
           CASE WHEN gone.tries = n.attempt_count THEN 'its tries were removed by retention: ' || gone.tries::text
                ELSE 'its first tries were removed by retention: ' || gone.tries::text || ' of ' || n.attempt_count::text END,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM noti.notifications_log n
     CROSS JOIN LATERAL (SELECT n.attempt_count - count(*)::int AS tries FROM tries t WHERE t.status <> 'stale') AS gone
     WHERE n.notification_id = why.id AND gone.tries > 0
    UNION ALL
    SELECT coalesce(n.finished_at, n.held_at), 3, 0, n.status, coalesce(noti.masked(n.error_message, n.recipient), 'so the notification itself says'),
           NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM noti.notifications_log n
     WHERE n.notification_id = why.id AND (n.finished_at IS NOT NULL OR n.held_at IS NOT NULL)
       AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.action = n.status OR d.action = 'triggered' AND d.metadata->>'status' = n.status)
    UNION ALL
    -- who was refused for now when it was sent, each a notification of its own
    SELECT greatest(n.sent_at, (SELECT max(t.created_at) FROM tries t WHERE t.status = 'sent'),
                    (SELECT max(d.created_at) FROM decisions d WHERE d.action = 'sent')), 3, c.notification_id, 'copy',
           'to ' || c.recipient || ', notification ' || c.notification_id::text || ': '
           || CASE WHEN c.finished_at IS NULL THEN c.status || ', ' || noti.next_step(noti.facts(c.notification_id))
                   ELSE c.status || ' at ' || noti.instant(c.finished_at) END
           || coalesce('; it said last: ' || noti.masked(c.error_message, c.recipient), ''),
           NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM noti.notifications_log n
      JOIN noti.notifications_log c ON c.copy_of = n.notification_id
     WHERE n.notification_id = why.id
    UNION ALL
    -- what was told of it afterwards, of a copy too
    SELECT greatest(r.at, (SELECT min(t.created_at) FROM tries t WHERE t.status = 'sent')), 3, r.receipt_id, replace(r.kind, '_', ' '),
           concat_ws(' ', coalesce(r.account || coalesce(' (' || nullif(r.provider, r.account) || ')', ''), '') || ' tells it'
                          || coalesce(' of ' || nullif(r.recipient, n.recipient), ''),
                     nullif(concat_ws(': ', '(' || r.code || ')', noti.masked(r.words, n.recipient)), '')),
           NULL, NULL, r.account, r.provider, NULL, r.code, NULL
      FROM noti.receipts r
      LEFT JOIN noti.notifications_log n ON n.notification_id = r.notification_id
     WHERE r.notification_id = why.id AND r.tenant_id IS NOT NULL
    UNION ALL
    -- which endpoints were told of it
    SELECT greatest(v.made_at, v.at), 3, v.event_id, 'told',
           'endpoint ' || v.name || ' that it is ' || replace(v.event, '_', ' ') || ', in notification ' || v.envelope::text
           || coalesce(' (' || (SELECT n.status FROM noti.notifications_log n WHERE n.notification_id = v.envelope) || ')', ''),
           NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM (SELECT w.event_id, w.event, w.at, p.name, x.made_at, x.notification_id AS envelope
              FROM noti.events w
              JOIN noti.endpoints p ON p.tenant_id = w.tenant_id AND (p.events = '{}' OR w.event = ANY (p.events)) AND (p.channels = '{}' OR w.channel = ANY (p.channels))
             CROSS JOIN LATERAL (SELECT b.made_at, b.notification_id, b.after_place FROM noti.envelopes b
                                  WHERE b.endpoint_id = p.endpoint_id AND b.last_place >= w.place AND b.notification_id IS NOT NULL AND b.events > 0
                                  ORDER BY b.last_place LIMIT 1) AS x
             WHERE w.notification_id = why.id AND x.after_place < w.place) AS v
    UNION ALL
    SELECT clock_timestamp(), 3, 0, 'next', 'nothing: the notification was removed, and this is what the logs still tell', NULL, NULL, NULL, NULL, NULL, NULL, NULL
     WHERE NOT EXISTS (SELECT 1 FROM noti.notifications_log n WHERE n.notification_id = why.id)
       AND (EXISTS (SELECT 1 FROM tries) OR EXISTS (SELECT 1 FROM decisions))
    UNION ALL
    SELECT CASE WHEN n.finished_at IS NULL AND n.held_at IS NULL AND n.claimed_by IS NULL THEN greatest(n.due_at, clock_timestamp())
                ELSE clock_timestamp() END,
           3, 0, 'next',
           noti.next_step(noti.facts(n.notification_id)), NULL, NULL, NULL, NULL, NULL, NULL, NULL
      FROM noti.notifications_log n WHERE n.notification_id = why.id)
  SELECT l.at, l.event, l.detail, l.by, l.attempt_number, l.account, l.provider, l.kind, l.code, l.duration_ms
    FROM lines l
   ORDER BY l.event = 'next', l.at, l.rank, l.id
$$;
