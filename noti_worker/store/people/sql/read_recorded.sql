-- A page of the tries since :since, or within :span of now: the newest first, from behind the one that was read last. Without
-- losses, which were answered by nobody, and without what stands in the future.
\set since NULL
\set span '''7 days'''
\set account NULL
\set before_at NULL
\set before_id 9223372036854775807
\set rows 1000
SELECT t.log_id, t.created_at AS at, t.notification_id, t.account, t.provider, t.kind, t.rule, t.stage, t.code,
       left(t.error_message, 1000) AS error
  FROM noti.notification_attempts_log t
 WHERE t.created_at >= coalesce(cast(:since AS timestamptz), now() - cast(:span AS interval))
   AND (t.created_at, t.log_id)
       < (coalesce(cast(:before_at AS timestamptz), now() + interval '1 day'), cast(:before_id AS bigint))
   AND t.status <> 'lost'
   AND (cast(:account AS text) IS NULL OR t.account = cast(:account AS text))
 ORDER BY t.created_at DESC, t.log_id DESC
 LIMIT cast(:rows AS bigint);
