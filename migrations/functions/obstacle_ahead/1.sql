-- Others are due and go first: those of its lane that were due before it, and the more urgent ones of its channel. `code` is
-- how many, with a + when there are more. What is closed goes before nobody.
CREATE OR REPLACE FUNCTION noti.obstacle_ahead(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
  WITH closed AS MATERIALIZED (SELECT c.scope, c.tenant_id, c.name FROM noti.closures c),
  shut AS MATERIALIZED (
    SELECT ARRAY(SELECT c.name FROM closed c WHERE c.scope = 'tenant')
           || ARRAY(SELECT c.tenant_id FROM closed c WHERE c.scope = 'tenant channel' AND c.name = n.channel) AS tenants,
           ARRAY(SELECT c.tenant_id || chr(31) || c.name FROM closed c WHERE c.scope IN ('template', 'tenant template')) AS templates,
           ARRAY(SELECT c.tenant_id || chr(31) || c.name FROM closed c WHERE c.scope IN ('account', 'tenant account')) AS accounts),
  due AS MATERIALIZED (
    SELECT o.tenant_id
      FROM shut s, noti.notifications_log o
     WHERE o.channel = n.channel AND o.priority = n.priority AND o.tenant_id = n.tenant_id
       AND o.finished_at IS NULL AND o.held_at IS NULL AND (o.due_at, o.notification_id) < (n.due_at, n.notification_id)
       AND (o.lease_until IS NULL OR o.lease_until < clock_timestamp())
       AND NOT coalesce(ARRAY[chr(31) || o.template_id, o.tenant_id || chr(31) || o.template_id] && s.templates, false)
       AND NOT coalesce(ARRAY[chr(31) || o.provider, o.tenant_id || chr(31) || o.provider] && s.accounts, false)
    UNION ALL
    SELECT o.tenant_id
      FROM shut s, noti.notifications_log o
     WHERE o.channel = n.channel
       AND o.priority = ANY (CASE n.priority WHEN 'low' THEN '{urgent,high,normal}'::text[] WHEN 'normal' THEN '{urgent,high}'::text[]
                                             WHEN 'high' THEN '{urgent}'::text[] ELSE '{}'::text[] END)
       AND o.finished_at IS NULL AND o.held_at IS NULL AND o.due_at <= clock_timestamp()
       AND (o.lease_until IS NULL OR o.lease_until < clock_timestamp())
       AND o.tenant_id <> ALL (s.tenants)
       AND NOT coalesce(ARRAY[chr(31) || o.template_id, o.tenant_id || chr(31) || o.template_id] && s.templates, false)
       AND NOT coalesce(ARRAY[chr(31) || o.provider, o.tenant_id || chr(31) || o.provider] && s.accounts, false)
     LIMIT 10001),
  counted AS (SELECT count(*) AS rows FROM due)
  SELECT 'ahead', 'lane', n.channel || ' ' || n.priority || ' ' || n.tenant_id, NULL::timestamptz, NULL::timestamptz, NULL::text,
         CASE WHEN c.rows > 10000 THEN 'at least 10000 others go first' WHEN c.rows = 1 THEN '1 other goes first'
              ELSE c.rows::text || ' others go first' END,
         CASE WHEN c.rows > 10000 THEN '10000+' ELSE c.rows::text END
    FROM counted c
   WHERE c.rows > 0 AND n.due_at <= clock_timestamp()
$$;
