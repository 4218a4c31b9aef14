-- What happened to entries of the suppression list, in order.
\set ids 'array[1, 2]'
SELECT cast(a.entity_id AS bigint) AS suppression_id, a.created_at AS at, substr(a.action, length('suppression_') + 1) AS event,
       coalesce(a.metadata ->> 'by', a.action_by) AS by, a.metadata ->> 'source' AS source,
       cast(a.metadata ->> 'notification_id' AS bigint) AS notification_id, a.metadata ->> 'requested_by' AS requested_by
  FROM unnest(cast(:ids AS bigint[])) AS wanted (id)
  JOIN noti.audit_log a ON a.entity_id = wanted.id::text AND a.entity_type = 'suppression'
 ORDER BY a.created_at, a.audit_id;
