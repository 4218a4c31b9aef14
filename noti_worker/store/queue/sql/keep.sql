-- Keep what tries said, in the transaction that recorded them, and only of those that it did record.
\set document '''[{"id": 1, "claim_count": 1, "kept": {"channel": "email", "recipient": "ann@example.com", "seconds": 3600}}]'''
INSERT INTO noti.kept_contents (notification_id, attempt_number, tenant_id, channel, recipient, subject, body, html, options, truncated, kept_until)
SELECT entry.id, try.attempt_number, try.tenant_id, line.channel, line.recipient, line.subject, line.body, line.html, line.options,
       coalesce(line.truncated, false), now() + line.seconds * interval '1 second'
  FROM json_to_recordset(cast(:document AS json)) AS entry (id bigint, claim_count int, kept json)
 CROSS JOIN LATERAL json_to_record(entry.kept) AS line (
       channel text, recipient text, subject text, body text, html text, options jsonb, truncated boolean, seconds bigint)
 CROSS JOIN LATERAL (
       SELECT t.attempt_number, t.tenant_id
         FROM noti.notification_attempts_log t
        WHERE t.notification_id = entry.id AND t.claim_count = entry.claim_count AND t.status NOT IN ('stale', 'lost')
        LIMIT 1) AS try
 WHERE entry.kept IS NOT NULL
ON CONFLICT (notification_id, attempt_number) DO NOTHING;
