-- What is closed and keeps it back: pauses, and circuits of the accounts that may send it.
CREATE OR REPLACE FUNCTION noti.obstacle_closed(n noti.notifications_log) RETURNS SETOF noti.obstacle
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT c.cause, c.scope, nullif(c.name, ''), c.since, c.until, c.by, noti.closure_words(c), NULL::text
    FROM noti.closed_by(n) AS c
   ORDER BY c.since, c.scope, c.tenant_id, c.name
$$;
