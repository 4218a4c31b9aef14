-- What ended within :span without being sent, by channel, status, account, kind and text, each with its newest: the :bound
-- newest failures, and what expired or was suppressed among the :seen newest ends. One that ended without a try has no account.
--
-- Texts that differ in numbers, ids and addresses alone are one cause; the codes of answers (550, 5.1.1) tell causes apart.
\set span '''1 hour'''
\set bound 5000
\set seen 20000
WITH ended AS MATERIALIZED (
    (SELECT n.notification_id, n.channel, n.status, n.failed_at AS at, n.recipient, n.error_message AS error
       FROM noti.notifications_log n
      WHERE n.failed_at >= now() - cast(:span AS interval)
      ORDER BY n.failed_at DESC
      LIMIT cast(:bound AS bigint))
    UNION ALL
    SELECT e.notification_id, e.channel, e.status, e.finished_at, e.recipient, e.error
      FROM (
           SELECT n.notification_id, n.channel, n.status, n.finished_at, n.recipient, n.error_message AS error
             FROM noti.notifications_log n
            WHERE n.finished_at >= now() - cast(:span AS interval)
            ORDER BY n.finished_at DESC
            LIMIT cast(:seen AS bigint)
           ) AS e
     WHERE e.status IN ('expired', 'suppressed')
),
told AS MATERIALIZED (
    SELECT ended.*, line.account, line.kind, noti.masked(left(coalesce(
               CASE WHEN ended.status = 'failed' THEN ended.error END, line.reason, ended.error), 500), ended.recipient) AS words
      FROM ended
      LEFT JOIN LATERAL (
           SELECT a.metadata ->> 'account' AS account, a.metadata ->> 'kind' AS kind, a.metadata ->> 'reason' AS reason
             FROM noti.audit_log a
            WHERE a.entity_id = ended.notification_id::text AND a.entity_type = 'notification'
              AND a.action = 'notification_' || ended.status
            ORDER BY a.audit_id DESC
            LIMIT 1
           ) AS line ON true
)
SELECT told.channel, told.status, told.account, told.kind, count(*) AS rows,
       (array_agg(told.notification_id ORDER BY told.at DESC))[1] AS example_id,
       (array_agg(told.words ORDER BY told.at DESC))[1] AS error
  FROM told
 GROUP BY 1, 2, 3, 4,
       -- what the suppression list stopped has a kind, and each its own entry
       CASE WHEN told.status = 'suppressed' AND told.kind IS NOT NULL THEN '' ELSE regexp_replace(told.words,
           '([2-5][.][0-9]{1,3}[.][0-9]{1,3}|[[:<:]][2-5][0-9][0-9][[:>:]](?! ?(m?s|sec|seconds|min|minutes|h|hours|bytes|[kM]B)[[:>:]]))'
           || '|[[:alnum:]_-]*[[:digit:]][[:alnum:]_-]*', E'\\1#', 'g') END
 ORDER BY 5 DESC, 1, 2, 3, 4;
