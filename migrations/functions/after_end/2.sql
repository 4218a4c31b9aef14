-- What a finished notification became, and what a person should know and do before it is sent again.
CREATE OR REPLACE FUNCTION noti.after_end(n noti.notifications_log) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH known AS (
    SELECT e.kind, e.reason, coalesce(e.tried, false) AS tried, 'noti-worker requeue ' || n.notification_id::text AS requeue,
           n.status <> 'sent' AND noti.may_have_arrived(n.notification_id) AS perhaps
      FROM (SELECT) AS always
      LEFT JOIN noti.end_of(n.notification_id) AS e ON e.status = n.status)
  SELECT CASE
      WHEN n.status = 'sent' THEN
        CASE WHEN k.reason LIKE 'safe mode: %' THEN 'it was sent to staging instead of its recipient at ' ELSE 'it was sent at ' END
        || noti.instant(n.sent_at)
      ELSE 'it ' || CASE WHEN n.status IN ('failed', 'expired') THEN '' ELSE 'was ' END || n.status || '; '
        || CASE
          WHEN n.recipient = '[erased]' THEN 'it was erased, and cannot be sent again'
          WHEN n.status = 'suppressed' AND k.reason LIKE 'gathered: %' THEN substr(k.reason, 11) || '; requeue sends it once more, alone'
          WHEN k.perhaps THEN 'an earlier try may have arrived: ask the provider by the message id before you requeue it'
            || CASE WHEN k.kind = 'lost' THEN ', and look into the logs of the workers that it was lost with'
                    WHEN k.kind IN ('dead', 'permanent') THEN ', and correct what the last answer names' ELSE '' END
          WHEN k.kind = 'dead' THEN 'correct its address first: ' || k.requeue || ' --recipient ADDRESS'
          WHEN k.kind = 'permanent' AND k.tried THEN 'as it stands it is refused again, so correct first what the answer names: '
            || k.requeue || ' --help tells how'
          WHEN k.kind = 'permanent' THEN 'it cannot be sent as it stands, so correct first what the reason names: ' || k.requeue || ' --help tells how'
          WHEN k.kind = 'optout' THEN 'its recipient does not want it: do not send it again'
          WHEN n.status = 'failed' THEN 'when the fault is mended, requeue it to send it after all'
          WHEN n.status = 'expired' THEN 'requeue sends it after all, and without an expiry'
          WHEN n.status = 'suppressed' THEN 'when what kept it back is over, requeue it to send it after all'
          ELSE 'requeue it to send it after all' END
    END
    FROM known k
$$;
