-- A worker has set it aside, because the database refuses this row to it; `code` is what it was about to do.
CREATE OR REPLACE FUNCTION noti.obstacle_refused(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT 'refused', 'worker', l.worker_id::text, NULL::timestamptz, NULL::timestamptz, NULL::text,
         'worker ' || l.worker_id::text || ' cannot ' || coalesce(r.told->>'what', 'take') || ' it: ' || coalesce(r.told->>'why', 'it does not say why'),
         r.told->>'what'
    FROM noti.living l
   CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN jsonb_typeof(l.state->'refused_rows') = 'array' THEN l.state->'refused_rows' END) AS r (told)
   WHERE r.told->>'id' = n.notification_id::text
$$;
