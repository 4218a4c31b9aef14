-- What the role lacks of the rights that a worker and the commands need, as the body of a GRANT each.
--
-- An update of notifications_log needs only the columns that a worker writes: the members of noti_worker have no more.
-- The names come from the catalog: asking for them by to_regclass needs the very right on the schema that may be missing.
WITH noti AS (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti'),
wanted(relation, privileges) AS (
    VALUES ('notifications_log', ARRAY['SELECT', 'UPDATE']),
           ('notification_attempts_log', ARRAY['SELECT', 'INSERT']),
           ('audit_log', ARRAY['SELECT', 'INSERT']),
           ('inbox', ARRAY['SELECT', 'INSERT']),  -- ON CONFLICT reads
           ('templates', ARRAY['SELECT']),
           ('attachments', ARRAY['SELECT']),
           ('workers', ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
           ('duties', ARRAY['SELECT', 'INSERT', 'UPDATE']),
           ('pauses', ARRAY['SELECT']),
           ('alembic_version', ARRAY['SELECT'])
)
SELECT 'USAGE ON SCHEMA noti' AS lacking
  FROM noti
 WHERE NOT has_schema_privilege(noti.oid, 'USAGE')
UNION ALL
SELECT string_agg(privilege, ', ') || ' ON noti.' || quote_ident(wanted.relation)
  FROM wanted
  JOIN pg_class c ON c.relname = wanted.relation
  JOIN noti ON noti.oid = c.relnamespace
 CROSS JOIN LATERAL unnest(wanted.privileges) AS privilege
 WHERE NOT has_table_privilege(c.oid, privilege)
   AND NOT (wanted.relation = 'notifications_log' AND privilege = 'UPDATE'
            AND (SELECT bool_and(has_column_privilege(c.oid, a.attnum, 'UPDATE'))
                   FROM pg_attribute a
                  WHERE a.attrelid = c.oid
                    AND a.attname IN ('status', 'requested', 'claimed_by', 'claim_count', 'lease_until', 'dispatched_at',
                                      'next_retry_at', 'finished_at', 'held_at', 'sent_at', 'failed_at', 'updated_at',
                                      'retry_count', 'attempt_count', 'lost_count', 'error_message')))
 GROUP BY wanted.relation
UNION ALL
SELECT 'USAGE ON SEQUENCE noti.worker_ids'
  FROM pg_class c
  JOIN noti ON noti.oid = c.relnamespace
 WHERE c.relname = 'worker_ids' AND NOT has_sequence_privilege(c.oid, 'USAGE');
