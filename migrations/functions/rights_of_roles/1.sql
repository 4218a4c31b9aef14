-- Who may do what: the one list from which rights are granted (0006_roles.sql) and looked after (noti-worker doctor).
--
--   noti_app       inserts, and steers by status and times; reads the story. Writes no status at insert, no claim, no log.
--   noti_worker    claims and records; may not change what is sent, nor to whom.
--   noti_operator  steers everything and erases; reads no content.
--   noti_readonly  reads what happened, to whom and when; no content.
--   noti_migrator  owns the schema, when it is migrated by a member.
--
-- `wanted` is the body of a GRANT. Content is what a message says: subject, body, template_data, options, metadata,
-- what the provider answered in full, attachments, and in-app messages.
CREATE OR REPLACE FUNCTION noti.rights_of_roles() RETURNS TABLE (role text, privilege text, object text, columns text[], wanted text)
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  WITH facts AS (
    SELECT c.relname::text AS object, array_agg(a.attname::text ORDER BY a.attnum) AS columns
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
       AND c.relname IN ('notifications_log', 'notification_attempts_log', 'inbox', 'attachments')
       AND a.attname <> ALL ('{subject,body,html,template_data,options,metadata,response_data,content,filename}')
       AND (c.relname <> 'inbox' OR a.attname <> 'recipient')
     GROUP BY c.relname),
  given (role, privileges, object, columns) AS (
    VALUES
      ('noti_app', 'SELECT', 'notifications_log', NULL),   -- send() compares content
      ('noti_app', 'INSERT', 'notifications_log',
        '{message_id,tenant_id,entity_type,entity_id,channel,recipient,subject,body,template_id,template_data,locale,priority,max_retries,send_at,expires_at,idempotency_key,category,provider,collapse_key,on_uncertain,options,metadata,traceparent}'),
      ('noti_app', 'UPDATE', 'notifications_log', '{status,requested,priority,send_at,expires_at,category,metadata}'),
      ('noti_app', 'SELECT', 'notification_attempts_log', 'facts'),
      ('noti_app', 'SELECT', 'audit_log', NULL),
      ('noti_app', 'SELECT', 'workers', '{worker_id,heartbeat,state}'),
      ('noti_app', 'SELECT', 'pauses', NULL),
      ('noti_app', 'SELECT', 'queue', NULL),
      ('noti_app', 'SELECT', 'dead', NULL),
      ('noti_app', 'SELECT', 'templates', NULL),
      ('noti_app', 'SELECT', 'attachments', NULL),
      ('noti_app', 'INSERT', 'attachments', '{attachment_id,tenant_id,filename,content_type,content}'),
      ('noti_app', 'SELECT', 'inbox', NULL),
      ('noti_app', 'UPDATE', 'inbox', '{seen_at,read_at}'),

      ('noti_worker', 'SELECT,DELETE', 'notifications_log', NULL),   -- DELETE: retention; the guard keeps what is unfinished
      ('noti_worker', 'UPDATE', 'notifications_log',
        '{status,requested,claimed_by,claim_count,lease_until,dispatched_at,next_retry_at,finished_at,held_at,sent_at,failed_at,updated_at,retry_count,attempt_count,lost_count,error_message}'),
      ('noti_worker', 'SELECT,INSERT', 'notification_attempts_log', NULL),
      ('noti_worker', 'SELECT,INSERT', 'audit_log', NULL),
      ('noti_worker', 'SELECT,INSERT,DELETE', 'inbox', NULL),
      ('noti_worker', 'SELECT', 'templates', NULL),
      ('noti_worker', 'SELECT,DELETE', 'attachments', NULL),
      ('noti_worker', 'SELECT,INSERT,UPDATE,DELETE', 'workers', NULL),
      ('noti_worker', 'SELECT,INSERT,UPDATE', 'duties', NULL),
      ('noti_worker', 'SELECT', 'pauses', NULL),
      ('noti_worker', 'SELECT', 'alembic_version', NULL),
      ('noti_worker', 'USAGE', 'worker_ids', NULL),

      ('noti_operator', 'UPDATE', 'notifications_log', '{status,requested,priority,send_at,expires_at,max_retries}'),
      ('noti_operator', 'INSERT,UPDATE,DELETE', 'pauses', NULL)),
  reading (object, columns) AS (
    VALUES ('notifications_log', 'facts'), ('notification_attempts_log', 'facts'), ('inbox', 'facts'), ('attachments', 'facts'),
           ('audit_log', NULL), ('workers', NULL), ('duties', NULL), ('pauses', NULL), ('templates', NULL), ('queue', NULL),
           ('dead', NULL), ('alembic_version', NULL)),
  every (role, privileges, object, columns) AS (
    SELECT * FROM given
    UNION ALL
    SELECT reader.role, 'SELECT', r.object, r.columns FROM reading r, unnest(ARRAY['noti_operator', 'noti_readonly']) AS reader (role))
  SELECT g.role, 'USAGE', 'noti', NULL::text[], 'USAGE ON SCHEMA noti'
    FROM unnest(ARRAY['noti_app', 'noti_worker', 'noti_operator', 'noti_readonly', 'noti_migrator']) AS g (role)
  UNION ALL
  SELECT 'noti_migrator', 'CREATE', 'noti', NULL, 'CREATE ON SCHEMA noti'
  UNION ALL
  SELECT 'noti_operator', 'EXECUTE', p.oid::regprocedure::text, NULL, 'EXECUTE ON FUNCTION ' || p.oid::regprocedure
    FROM pg_proc p
   WHERE p.pronamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti') AND p.proname IN ('erase', 'erase_inbox', 'erase_lines')
  UNION ALL
  SELECT e.role, one.privilege, e.object, list.columns,
         one.privilege || coalesce(' (' || array_to_string(list.columns, ', ') || ')', '')
         || CASE c.relkind WHEN 'S' THEN ' ON SEQUENCE noti.' ELSE ' ON noti.' END || c.relname
    FROM every e
    JOIN pg_class c ON c.relname = e.object AND c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
   CROSS JOIN LATERAL unnest(string_to_array(e.privileges, ',')) AS one (privilege)
   CROSS JOIN LATERAL (
         SELECT CASE WHEN e.columns = 'facts' THEN (SELECT f.columns FROM facts f WHERE f.object = e.object)
                     ELSE e.columns::text[] END AS columns) AS list
$$;
