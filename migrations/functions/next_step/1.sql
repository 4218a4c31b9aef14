-- What happens next and when, as one sentence.
CREATE OR REPLACE FUNCTION noti.next_step(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH living AS (
    SELECT w.worker_id, w.heartbeat >= clock_timestamp() - interval '15 s' AS alive,
           coalesce(w.state->'channels' ? n.channel, true) AS serves
      FROM noti.workers w),
  able AS (  -- the accounts of living workers that may send it, and how far their messages go
    SELECT coalesce(w.state->'modes'->>a.account, 'live') AS mode
      FROM noti.workers w, jsonb_each_text(CASE WHEN jsonb_typeof(w.state->'routes'->n.channel) = 'object' THEN w.state->'routes'->n.channel END) AS a (account, provider)
     WHERE w.heartbeat >= clock_timestamp() - interval '15 s'
       AND (n.provider IS NULL OR n.provider = a.account
            OR n.provider = a.provider AND NOT w.state->'routes'->n.channel ? n.provider))
  SELECT CASE
      WHEN n.status = 'sent' THEN 'nothing: it was sent at ' || noti.instant(n.sent_at)
      WHEN n.finished_at IS NOT NULL THEN 'nothing: it ' || CASE WHEN n.status IN ('failed', 'expired') THEN '' ELSE 'was ' END || n.status
                           || '; requeue it to send it after all'
      WHEN n.status = 'unknown' THEN 'waits for a person: it may have been sent; release sends it again, cancel does not'
      WHEN n.held_at IS NOT NULL THEN 'waits for a person: release sends it, cancel does not'
      WHEN n.claimed_by IS NOT NULL AND NOT claim.lost THEN 'worker ' || n.claimed_by || ' is sending it; its lease ends at ' || noti.instant(n.lease_until)
                           || CASE n.requested WHEN 'cancelled' THEN '; unless this try settles it, it is cancelled'
                                               WHEN 'held' THEN '; unless this try settles it, it is held' ELSE '' END
      WHEN pause.words IS NOT NULL THEN 'try ' || n.attempt_count + 1 || ' waits: ' || pause.words
                           || CASE WHEN n.due_at > clock_timestamp() THEN '; due at ' || noti.instant(n.due_at) ELSE '; due since ' || noti.instant(n.due_at) END
                           || coalesce('; expires at ' || noti.instant(n.expires_at), '') || retries.words
      WHEN claim.lost THEN 'worker ' || n.claimed_by || ' was lost: another worker takes it over'
                           || CASE n.requested WHEN 'cancelled' THEN ' and cancels it, as requested' WHEN 'held' THEN ' and holds it, as requested' ELSE '' END
      WHEN n.expires_at <= clock_timestamp() THEN 'it expired at ' || noti.instant(n.expires_at) || ': the next worker that takes it writes it off'
      WHEN n.due_at > clock_timestamp() THEN 'try ' || n.attempt_count + 1 || ' at ' || noti.instant(n.due_at) || retries.words
      ELSE 'try ' || n.attempt_count + 1 || ' is due since ' || noti.instant(n.due_at) || ': the next free worker takes it' || retries.words
    END
    || CASE
      WHEN n.finished_at IS NOT NULL OR n.held_at IS NOT NULL OR n.claimed_by IS NOT NULL AND NOT claim.lost THEN ''
      WHEN NOT EXISTS (SELECT 1 FROM living WHERE alive) THEN '; but no worker is running: start one'
      WHEN NOT EXISTS (SELECT 1 FROM living WHERE alive AND serves) THEN '; but no running worker serves ' || n.channel || ': configure an account for it'
      WHEN NOT EXISTS (SELECT 1 FROM able WHERE mode = 'live')
        THEN coalesce('; but safe mode is on (' || (SELECT string_agg(DISTINCT mode, ', ') FROM able) || '): it does not reach its recipient', '')
      ELSE '' END
  FROM (SELECT n.claimed_by IS NOT NULL AND (n.lease_until < clock_timestamp()
               OR EXISTS (SELECT 1 FROM living l WHERE l.worker_id = n.claimed_by AND NOT l.alive)) AS lost) AS claim,
       (SELECT CASE WHEN n.retry_count > 0 THEN ' (retry ' || n.retry_count || ' of ' || n.max_retries || ')' ELSE '' END AS words) AS retries,
       (SELECT noti.paused(n) AS words) AS pause
$$;
