-- One row as a claim gives it, without claiming it: the columns are those that claim.sql returns.
\set notification_id 1
SELECT n.notification_id, n.claim_count, n.channel, n.priority, n.tenant_id, n.recipient, n.message_id,
       n.created_at, n.due_at, now() AS claimed_at, coalesce(n.send_at, n.created_at) AS first_due_at,
       n.subject, CASE WHEN octet_length(n.body) <= 16384 THEN n.body END AS body, octet_length(n.body) > 16384 AS long_body,
       n.template_id, n.template_data IS NOT NULL AS has_data, n.locale, n.options IS NOT NULL AS has_options, n.expires_at,
       n.retry_count, CASE WHEN n.retries_said THEN n.max_retries END AS max_retries, n.attempt_count, n.lost_count,
       n.requested, n.on_uncertain,
       n.dispatched_at IS NOT NULL AS dispatched, n.provider, n.traceparent, n.copy_of,
       n.category, n.template_version,
       EXISTS (SELECT FROM noti.suppressions s WHERE s.lifted_at IS NULL) AS listed,
       EXISTS (SELECT FROM noti.preferences) OR EXISTS (SELECT FROM noti.categories c WHERE c.opt_in OR c.expires_after IS NOT NULL) AS choosing,
       EXISTS (SELECT FROM noti.contacts) AS peopled,
       n.collapse_key IS NOT NULL AS collapses, n.fallback_of, n.digest_key IS NOT NULL AS gathered,
       false AS rescued
  FROM noti.notifications_log n
 WHERE n.notification_id = cast(:notification_id AS bigint);
