-- The rights so far, and those of this migration.
--
--   noti_app       inserts, and steers by status and times; reads the story. Writes no status at insert, no claim, no log.
--   noti_worker    claims and records; may not change what is sent, nor to whom.
--   noti_operator  steers everything and erases; reads no content.
--   noti_readonly  reads what happened, to whom and when; no content.
--   noti_migrator  owns the schema, when it is migrated by a member.
--
-- Content is what a message says: subject, body, template_data, options, metadata, what the provider answered in full,
-- attachments, and in-app messages.
WITH facts AS (
  SELECT c.relname::text AS object, array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'noti')
     AND c.relname IN ('notifications_log', 'notification_attempts_log', 'inbox', 'attachments')
     AND a.attname <> ALL ('{subject,body,html,template_data,options,metadata,response_data,content,filename}')
     AND (c.relname <> 'inbox' OR a.attname <> 'recipient')
   GROUP BY c.relname),
given (roles, privileges, objects, columns) AS (
  VALUES
    ('noti_app,noti_worker,noti_operator,noti_readonly,noti_migrator', 'USAGE', 'noti', '{}'),
    ('noti_migrator', 'CREATE', 'noti', '{}'),

    ('noti_app', 'SELECT', 'notifications_log', '{}'),   -- send() compares content
    ('noti_app', 'INSERT', 'notifications_log',
      '{message_id,tenant_id,entity_type,entity_id,channel,recipient,subject,body,template_id,template_data,locale,priority,max_retries,send_at,expires_at,idempotency_key,category,provider,collapse_key,on_uncertain,options,metadata,traceparent}'),
    ('noti_app', 'UPDATE', 'notifications_log', '{status,requested,priority,send_at,expires_at,category,metadata}'),
    ('noti_app', 'SELECT', 'notification_attempts_log', 'facts'),
    ('noti_app', 'SELECT', 'workers', '{worker_id,heartbeat,state}'),
    ('noti_app', 'SELECT', 'audit_log,pauses,queue,dead,templates,attachments,inbox,worker_routes,living,living_routes,rights', '{}'),
    ('noti_app', 'INSERT', 'attachments', '{attachment_id,tenant_id,filename,content_type,content}'),
    ('noti_app', 'UPDATE', 'inbox', '{seen_at,read_at}'),

    ('noti_worker', 'SELECT,DELETE', 'notifications_log', '{}'),   -- DELETE: retention; the guard keeps what is unfinished
    ('noti_worker', 'UPDATE', 'notifications_log',
      '{status,requested,claimed_by,claim_count,lease_until,dispatched_at,next_retry_at,finished_at,held_at,sent_at,failed_at,updated_at,retry_count,attempt_count,lost_count,error_message}'),
    ('noti_worker', 'SELECT,INSERT', 'notification_attempts_log,audit_log', '{}'),
    ('noti_worker', 'SELECT,INSERT,DELETE', 'inbox', '{}'),
    ('noti_worker', 'SELECT,DELETE', 'attachments', '{}'),
    ('noti_worker', 'SELECT,INSERT,UPDATE,DELETE', 'workers,worker_routes', '{}'),
    ('noti_worker', 'SELECT,INSERT,UPDATE', 'duties', '{}'),
    ('noti_worker', 'SELECT', 'templates,pauses,alembic_version,living,living_routes,rights', '{}'),
    ('noti_worker', 'USAGE', 'worker_ids', '{}'),

    ('noti_operator', 'UPDATE', 'notifications_log', '{status,requested,priority,send_at,expires_at,max_retries}'),
    ('noti_operator', 'INSERT,UPDATE,DELETE', 'pauses', '{}'),
    ('noti_operator,noti_readonly', 'SELECT', 'notifications_log,notification_attempts_log,inbox,attachments', 'facts'),
    ('noti_operator,noti_readonly', 'SELECT',
      'audit_log,workers,duties,pauses,templates,queue,dead,alembic_version,worker_routes,living,living_routes,rights', '{}'),

    -- The functions, each to whom it is of use: the defaults of a database may leave them to nobody. Triggers need no right.
    ('noti_app', 'EXECUTE', 'send', '{}'),
    ('noti_app,noti_operator', 'EXECUTE', 'cancel,hold,release,requeue', '{}'),
    ('noti_app,noti_worker,noti_operator', 'EXECUTE', 'sound,fault', '{}'),   -- the CHECK asks them as whoever writes
    ('noti_app,noti_worker,noti_operator,noti_readonly', 'EXECUTE',
      'why,next_step,facts,masked,instant,paused,pause_words,obstacles,lost,accounts_for,obstacle_parked,obstacle_in_flight,obstacle_closed,obstacle_lost,obstacle_expired,obstacle_not_due,obstacle_no_worker,obstacle_unserved,obstacle_safe_mode,rights_of_roles', '{}'),
    ('noti_worker,noti_operator,noti_readonly', 'EXECUTE', 'assert_invariants,log_partitions', '{}'),
    ('noti_worker', 'EXECUTE', 'attachment_named', '{}'),
    ('noti_operator', 'EXECUTE', 'pause,resume,actor,erase,erase_inbox,erase_lines', '{}'))
INSERT INTO noti.rights (role, privilege, object, columns)
SELECT role, privilege, object,
       CASE WHEN g.columns = 'facts' THEN (SELECT f.columns FROM facts f WHERE f.object = object.object) ELSE g.columns::text[] END
  FROM given g
 CROSS JOIN LATERAL unnest(string_to_array(g.roles, ',')) AS role
 CROSS JOIN LATERAL unnest(string_to_array(g.privileges, ',')) AS privilege
 CROSS JOIN LATERAL unnest(string_to_array(g.objects, ',')) AS object (object);

-- Roles of one's own: whoever may do something with the register may do it with what stands beside it now, and whoever may
-- ask for the next step may ask for what that is made of. Our own roles get theirs from the rows above.
DO $$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT a.privilege_type, to_.object, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee
      FROM pg_class c
     CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     CROSS JOIN unnest(ARRAY['noti.worker_routes', 'noti.living', 'noti.living_routes']) AS to_ (object)
     WHERE c.oid = 'noti.workers'::regclass AND a.grantee <> c.relowner AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
       AND (a.privilege_type = 'SELECT' OR to_.object = 'noti.worker_routes')
    UNION ALL
    SELECT a.privilege_type, 'FUNCTION ' || f.oid::regprocedure::text,
           CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
      FROM pg_proc p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
      JOIN pg_proc f ON f.pronamespace = p.pronamespace AND (f.proname IN ('obstacles', 'lost', 'accounts_for') OR f.proname LIKE 'obstacle\_%')
     WHERE p.oid = 'noti.next_step(noti.notifications_log)'::regprocedure AND a.grantee <> p.proowner
  LOOP
    EXECUTE format('GRANT %s ON %s TO %s', one.privilege_type, one.object, one.grantee);
  END LOOP;
END $$;
